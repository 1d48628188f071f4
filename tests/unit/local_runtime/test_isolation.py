"""Limits of memory and processors: the arithmetic, the watch over real processes, the groups."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.cgroups import (
    CgroupIsolation,
    CgroupsUnusableError,
    ControlGroup,
    delegated_folder,
)
from local_runtime.isolation import choose_isolation, processors
from local_runtime.process_watch import CpuBudget, WatchIsolation

MIB = 1024 * 1024
MOUNTS = "30 20 0:26 / /cg rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def run() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start Python code in a process group of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-S", "-c", code]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


class TestProcessors:
    def test_they_come_in_proportion_to_memory(self) -> None:
        assert processors(1024, 2048.0) == 0.5

    def test_there_are_no_more_than_the_machine_has(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.cpu_count", lambda: 2)

        assert processors(6144, 1024.0) == 2.0


class TestCpuBudget:
    def test_what_is_earned_by_time_may_be_spent(self) -> None:
        budget = CpuBudget(0.5)

        assert [budget.overdrawn(second, 0.5 * second) for second in (0, 1, 2, 3)] == [False] * 4

    def test_more_is_overdrawn_until_time_has_caught_up(self) -> None:
        budget = CpuBudget(0.5)
        budget.overdrawn(0.0, 0.0)

        assert budget.overdrawn(1.0, 0.9)
        assert budget.overdrawn(1.5, 0.9)
        assert not budget.overdrawn(2.0, 0.9)

    def test_a_pause_saves_up_no_more_than_a_moment(self) -> None:
        budget = CpuBudget(0.5)
        budget.overdrawn(0.0, 0.0)
        budget.overdrawn(60.0, 0.0)

        assert budget.overdrawn(60.1, 0.1)

    @given(
        cpus=st.floats(0.1, 4.0),
        ticks=st.lists(st.floats(0.001, 0.05), min_size=200, max_size=300),
    )
    def test_over_time_the_share_is_kept(self, cpus: float, ticks: list[float]) -> None:
        """A process that works whenever it may gets its share, give or take one tick."""
        budget, now_s, spent_s, stopped = CpuBudget(cpus), 0.0, 0.0, False
        budget.overdrawn(0.0, 0.0)
        for tick_s in ticks:
            now_s += tick_s
            spent_s += 0.0 if stopped else 5.0 * tick_s
            stopped = budget.overdrawn(now_s, spent_s)

        assert spent_s <= cpus * (now_s + 0.02) + 5.0 * 0.05


@linux
class TestWatch:
    def test_a_process_beyond_its_memory_is_killed(
        self, run: Callable[[str], subprocess.Popen[bytes]]
    ) -> None:
        process = run("import time; held = b'x' * 80_000_000; time.sleep(600)")
        group = WatchIsolation().confine(process.pid, memory_bytes=50 * MIB, cpus=1000.0)

        assert process.wait(timeout=60) == -signal.SIGKILL
        group.ended()
        assert group.out_of_memory

    def test_memory_of_its_children_counts(
        self, run: Callable[[str], subprocess.Popen[bytes]]
    ) -> None:
        code = "held = b'x' * 40_000_000; import time; time.sleep(600)"
        process = run(
            "import subprocess, sys\n"
            f"both = [subprocess.Popen([sys.executable, '-S', '-c', {code!r}]) for _ in range(2)]\n"
            "both[0].wait()"
        )
        group = WatchIsolation().confine(process.pid, memory_bytes=70 * MIB, cpus=1000.0)

        assert process.wait(timeout=60) == -signal.SIGKILL
        group.ended()

    def test_a_process_within_its_memory_is_left_alone(
        self, run: Callable[[str], subprocess.Popen[bytes]]
    ) -> None:
        process = run("held = b'x' * 20_000_000; print(len(held))")
        group = WatchIsolation().confine(process.pid, memory_bytes=100 * MIB, cpus=1000.0)

        assert process.wait(timeout=60) == 0
        group.ended()
        assert not group.out_of_memory

    def test_a_process_gets_its_share_of_a_processor(
        self, run: Callable[[str], subprocess.Popen[bytes]]
    ) -> None:
        process = run(
            "import time\n"
            "began = time.perf_counter()\n"
            "while time.process_time() < 0.6: pass\n"
            "print(time.perf_counter() - began)"
        )
        group = WatchIsolation().confine(process.pid, memory_bytes=100 * MIB, cpus=0.25)
        group.share_cpu()

        output, _ = process.communicate(timeout=60)
        group.ended()
        # 2.4 s less what passed before, and the moments in which the watch was held up.
        assert float(output) >= 1.4

    def test_a_process_that_shall_end_is_let_run(
        self, run: Callable[[str], subprocess.Popen[bytes]]
    ) -> None:
        process = run("while True: pass")
        group = WatchIsolation().confine(process.pid, memory_bytes=100 * MIB, cpus=0.01)
        group.share_cpu()
        deadline_s = time.monotonic() + 60
        while _state(process.pid) != "T":
            assert time.monotonic() < deadline_s, "it is never stopped"
            time.sleep(0.005)

        group.release()
        process.terminate()

        assert process.wait(timeout=60) == -signal.SIGTERM
        group.ended()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def tree(root: Path, *, handed_on: str = "cpu memory", limit: str = "max") -> Path:
    """A folder as the kernel would show it: a user's session, and the group we are in."""
    slice_ = root / "cg" / "user.slice"
    own = slice_ / "session.scope"
    own.mkdir(parents=True)
    (slice_ / "cgroup.subtree_control").write_text(handed_on)
    (slice_ / "cgroup.procs").write_text("")
    (own / "memory.max").write_text(limit)
    return slice_


@linux
class TestControlGroups:
    def test_groups_are_made_beside_our_own(self, tmp_path: Path) -> None:
        slice_ = tree(tmp_path)

        found = delegated_folder("0::/user.slice/session.scope\n", MOUNTS, root=tmp_path)

        assert found == slice_

    @pytest.mark.parametrize(
        ("own", "mounts", "more", "complaint"),
        [
            ("5:cpu:/\n", MOUNTS, {}, "version 2 is not mounted"),
            ("0::/user.slice/session.scope\n", "", {}, "version 2 is not mounted"),
            (
                "0::/user.slice/session.scope\n",
                MOUNTS,
                {"handed_on": "pids"},
                "does not hand on cpu and memory",
            ),
            ("0::/user.slice/session.scope\n", MOUNTS, {"limit": "1000"}, "has limits of its own"),
        ],
    )
    def test_where_they_cannot_be_made_the_reason_is_said(
        self, tmp_path: Path, own: str, mounts: str, more: dict[str, Any], complaint: str
    ) -> None:
        tree(tmp_path, **more)

        with pytest.raises(CgroupsUnusableError, match=complaint):
            delegated_folder(own, mounts, root=tmp_path)

    def test_a_group_is_told_its_limits_in_the_kernels_words(self, tmp_path: Path) -> None:
        group = ControlGroup(tmp_path / "group", cpus=0.5)
        (tmp_path / "group" / "memory.swap.max").write_text("max")
        group.limit_memory(1024 * MIB)
        group.share_cpu()

        written = {path.name: path.read_text() for path in (tmp_path / "group").iterdir()}
        assert written == {
            "memory.max": str(1024 * MIB),
            "memory.oom.group": "1",
            "memory.swap.max": "0",
            "cpu.max": "10000 20000",
        }

    @pytest.mark.parametrize(("kills", "out_of_memory"), [(0, False), (1, True)])
    def test_the_kernels_count_says_whether_it_was_memory(
        self, tmp_path: Path, kills: int, out_of_memory: bool
    ) -> None:
        group = ControlGroup(tmp_path / "group", cpus=0.5)
        (tmp_path / "group" / "memory.events").write_text(f"max 3\noom {kills}\noom_kill {kills}\n")

        group.ended()

        assert group.out_of_memory is out_of_memory

    def test_groups_of_a_runtime_that_was_killed_are_removed(self, tmp_path: Path) -> None:
        left = tmp_path / "sagemaker-local-runtime-99999999" / "environment"
        left.mkdir(parents=True)

        CgroupIsolation(tmp_path)

        assert not left.parent.exists()


@linux
def test_without_groups_a_watch_takes_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Path:
        raise CgroupsUnusableError("not here")

    monkeypatch.setattr("local_runtime.isolation.delegated_folder", refuse)

    assert isinstance(choose_isolation("auto"), WatchIsolation)
    with pytest.raises(CgroupsUnusableError, match="not here"):
        choose_isolation("cgroup")
