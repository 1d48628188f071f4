"""InvokeEndpoint end to end, beside other servers that do the same work.

Everything runs at once and is loaded in turns, so that a busy moment of the machine meets all of
them; ratios are taken within a round.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tools.bench import load, page, peers
from tools.bench.load import Sample
from tools.bench.ours import Runtime, question_to, runtime
from tools.bench.subjects import (
    BUILD,
    SERVERS,
    Peer,
    Question,
    SkippedError,
    ask,
    environment,
    free_ports,
    program,
    version,
    wait_for,
)

HEADING: Final = "InvokeEndpoint beside other servers"
CONNECTIONS: Final = (1, 32)
CHAIN_LENGTHS: Final = (1, 2, 5)
_DIFFERENT_HEADS: Final = 512
_WARM_UP_S: Final = 3
_OURS: Final = "this runtime"
_CHAIN: Final = "this runtime, a chain of {}"
_FIVE: Final = _CHAIN.format(5)
_ROUTER: Final = "aiohttp router, 5 uvicorn containers"
_MMS_CHAIN: Final = "aiohttp router, 5 Multi Model Servers"
_ROUTER_PACKAGES: Final = ("aiohttp", "uvicorn", "uvloop", "httptools")


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A server that runs, and the requests for it."""

    name: str
    port: int
    script: Path
    samples: dict[int, list[Sample]] = field(default_factory=dict)

    def measure(self, connections: int, seconds: float) -> None:
        """Load it once."""
        sample = load.run(self.port, self.script, connections=connections, seconds=seconds)
        self.samples.setdefault(connections, []).append(sample)


class Benchmark:
    """The subjects that could be started, and why the others could not."""

    def __init__(self, *, quick: bool) -> None:
        self._quick = quick
        self._rounds, self._seconds = (3, 1.0) if quick else (5, 2.0)
        self._subjects: dict[str, Subject] = {}
        self._skipped: dict[str, str] = {}
        self._stack = contextlib.ExitStack()

    def run(self) -> str:
        """Start, measure, stop; the section's text."""
        with self._stack:
            ours = self._stack.enter_context(runtime(BUILD / "runtime"))
            self._add_ours(ours)
            self._add_peers(ours)
            self._add_chains(ours)
            for subject in self._subjects.values():
                load.run(subject.port, subject.script, connections=32, seconds=_WARM_UP_S)
            for number in range(self._rounds):
                print(f"round {number + 1} of {self._rounds}", flush=True)
                for connections in CONNECTIONS:
                    for subject in self._subjects.values():
                        subject.measure(connections, self._seconds)
            return self._section()

    # -- subjects

    def _add_ours(self, ours: Runtime) -> None:
        for name, title, handlers in (
            ("dot", _OURS, ["inference.py"]),
            *((f"chain-{n}", _CHAIN.format(n), ["echo.py"] * n) for n in CHAIN_LENGTHS),
        ):
            ours.deploy(name, handlers)
            question = question_to(name, peers.CSV)
            self._add(title, ours.port, question, ours)

    def _add_peers(self, ours: Runtime) -> None:
        chosen = (peers.MULTI_MODEL_SERVER, peers.FLOOR, *(() if self._quick else peers.OTHERS))
        for peer in chosen:
            folder = peer.name.partition(" ")[0].lower().strip(":")
            port = free_ports()
            with self._skipping(peer.name):
                installed = self._environment(f"env-{folder}", peer)
                self._stack.enter_context(peer.serve(installed, BUILD / folder, port))
                wait_for(port, peer.question)
                package = peer.packages[0].partition("=")[0]
                title = f"{peer.name} ({package} {version(installed, package)})"
                self._add(peer.name, port, peer.question, ours, title=title)

    def _add_chains(self, ours: Runtime) -> None:
        count = CHAIN_LENGTHS[-1]
        question = Question(target="/invocations", body=peers.CSV)
        with self._skipping(_ROUTER):
            installed = environment("env-router", _ROUTER_PACKAGES)
            ports = [free_ports() for _ in range(count)]
            for number, port in enumerate(ports):
                command = [str(installed / "bin" / "uvicorn"), "echo_asgi:app", "--log-level"]
                command += ["warning", "--no-access-log", "--port", str(port)]
                command += ["--app-dir", str(SERVERS)]
                folder = BUILD / f"uvicorn-{number}"
                self._stack.enter_context(program(command, folder=folder))
            self._add_router(_ROUTER, installed, ports, question, ours)
        if self._quick:
            return
        with self._skipping(_MMS_CHAIN):
            mms = peers.MULTI_MODEL_SERVER
            installed = environment("env-multi", mms.packages)
            ports = [free_ports() for _ in range(count)]
            for number, port in enumerate(ports):
                self._stack.enter_context(
                    peers.multi_model_server(
                        installed, BUILD / f"multi-{number}", port, handler="echo.py"
                    )
                )
            router = environment("env-router", _ROUTER_PACKAGES)
            self._add_router(_MMS_CHAIN, router, ports, question, ours)

    def _add_router(
        self, name: str, installed: Path, ports: Sequence[int], question: Question, ours: Runtime
    ) -> None:
        for port in ports:
            wait_for(port, question)
        port = free_ports()
        urls = [f"http://127.0.0.1:{each}/invocations" for each in ports]
        command = [str(installed / "bin" / "python"), str(SERVERS / "aiohttp_router.py"), str(port)]
        folder = BUILD / f"router-{len(self._subjects)}"
        self._stack.enter_context(program([*command, *urls], folder=folder))
        wait_for(port, question)
        self._add(name, port, question, ours)

    def _environment(self, folder: str, peer: Peer) -> Path:
        print(f"{peer.name}: installing where it is not", flush=True)
        return environment(folder, peer.packages)

    @contextlib.contextmanager
    def _skipping(self, name: str) -> Iterator[None]:
        try:
            yield
        except SkippedError as error:
            print(f"{name}: skipped, {error}", file=sys.stderr, flush=True)
            self._skipped[name] = str(error)

    def _add(
        self,
        name: str,
        port: int,
        question: Question,
        ours: Runtime,
        *,
        title: str | None = None,
    ) -> None:
        ask(port, question)
        script = BUILD / f"requests-{len(self._subjects)}.lua"
        load.write_script(script, ours.requests("any", question, _DIFFERENT_HEADS))
        self._subjects[name] = Subject(
            name=name if title is None else title, port=port, script=script
        )

    # -- the page

    def _section(self) -> str:
        rows = [
            [
                subject.name,
                *(
                    cell
                    for connections in CONNECTIONS
                    for cell in self._cells(subject.samples[connections])
                ),
            ]
            for subject in self._subjects.values()
        ]
        head = ["server"]
        for connections in CONNECTIONS:
            head += [f"requests/s at {connections}", "p50, ms", "p99, ms"]
        skipped = "".join(
            f"\n\n{name} is not in the table: {why}." for name, why in self._skipped.items()
        )
        command = "python -m tools.bench runtime" + (" --quick" if self._quick else "")
        return f"""\
HTTP requests as boto3 sends them, each with a signature of its own, to one worker: ten floats as
CSV in, a dot product, JSON out (containers of a chain answer what they get). wrk with one thread
loads each server in turn, {self._seconds:g} s at each number of connections, {self._rounds} rounds;
medians, with the least and the most of the rounds. Ratios are taken within a round.
{page.machine(command)}

{page.table(head, rows)}{skipped}

{page.table(("goal", "measured", "least to most", ""), self._goals())}"""

    @staticmethod
    def _cells(samples: Sequence[Sample]) -> list[str]:
        return [
            page.spread([each.rps for each in samples], 0),
            f"{statistics.median(each.p50_ms for each in samples):.2f}",
            f"{statistics.median(each.p99_ms for each in samples):.2f}",
        ]

    def _goals(self) -> list[list[str]]:
        mms, floor = peers.MULTI_MODEL_SERVER.name, peers.FLOOR.name
        rows = [
            self._ratio("at least {goal:g}x its requests/s", _OURS, mms, "rps", 32, at_least=8),
            self._ratio("at most 1/8 of its p99", _OURS, mms, "p99_ms", 32, at_most=1 / 8),
            self._ratio("at most 1/2 of its p50", _OURS, mms, "p50_ms", 1, at_most=1 / 2),
            self._ratio("at least {goal:g}x its requests/s", _OURS, floor, "rps", 32, at_least=0.5),
            *(
                self._ratio(
                    "at least {goal:g}x its requests/s", _OURS, o.name, "rps", 32, at_least=1
                )
                for o in peers.OTHERS
            ),
            self._ratio("at least {goal:g}x its requests/s", _FIVE, _ROUTER, "rps", 32, at_least=5),
            self._ratio(
                "at least {goal:g}x its requests/s", _FIVE, _MMS_CHAIN, "rps", 32, at_least=30
            ),
        ]
        return [row for row in rows if row is not None] + [self._further_container()]

    def _ratio(
        self,
        text: str,
        ours: str,
        theirs: str,
        figure: str,
        connections: int,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> list[str] | None:
        if theirs not in self._subjects:
            return None
        pairs = zip(
            self._subjects[ours].samples[connections],
            self._subjects[theirs].samples[connections],
            strict=True,
        )
        ratios = [getattr(a, figure) / getattr(b, figure) for a, b in pairs]
        middle = statistics.median(ratios)
        met = middle >= at_least if at_least is not None else middle <= (at_most or 0.0)
        what = f"{ours}, {connections} connection{'s' if connections > 1 else ''}: "
        return [
            what + text.replace("its", f"{theirs}'s").format(goal=at_least),
            f"{middle:.2f}x",
            f"{min(ratios):.2f} to {max(ratios):.2f}",
            "met" if met else "**missed**",
        ]

    def _further_container(self) -> list[str]:
        """What each container after the first adds to p50 at one connection."""
        longest = CHAIN_LENGTHS[-1]
        pairs = zip(
            self._subjects[_CHAIN.format(1)].samples[1],
            self._subjects[_CHAIN.format(longest)].samples[1],
            strict=True,
        )
        added = [(long.p50_ms - short.p50_ms) / (longest - 1) for short, long in pairs]
        middle = statistics.median(added)
        return [
            "each further container adds at most 0.25 ms to p50 at one connection",
            f"{middle:.3f} ms",
            f"{min(added):.3f} to {max(added):.3f}",
            "met" if middle <= 0.25 else "**missed**",
        ]


def main(*, quick: bool) -> int:
    """Measure and write; the exit code."""
    if not load.installed():
        print(f"nothing was measured: {load.MISSING}", file=sys.stderr)
        return 1
    BUILD.mkdir(parents=True, exist_ok=True)
    section = Benchmark(quick=quick).run()
    page.put_section(HEADING, section)
    print(section)
    return 0
