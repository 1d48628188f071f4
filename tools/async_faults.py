"""Kill at random what serves an asynchronous endpoint, and account for every request.

    python -m tools.async_faults [--requests N] [--seed S]

Starts the local runtime, deploys an endpoint whose answers are all different, sends the requests
while workers, the data plane and the control plane are killed with SIGKILL, and waits until the
queue is empty. Then each request that was accepted must have ended in exactly one object, an output
or a failure, the topic must have heard of it, and an object that was written more than once must
have had the same bytes each time. Prints the figures; exits 0 only when all of that is so.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tools.async_accounts import Accepted, Accounts, accounted_for, wait_until_empty
from tools.runtime_client import local_runtime

SENDERS: Final = 16
# What a process of each role has on its command line.
WORKER: Final = "handler_host"
DATA_PLANE: Final = "local_runtime.gateway"
CONTROL_PLANE: Final = "local_runtime.control_plane"
ROLES: Final = (WORKER, DATA_PLANE, CONTROL_PLANE)
# The runtime gives up on a plane that dies six times in a row before it is ten seconds old.
_PLANES_IN_A_ROW: Final = 4
_PLANES_PAUSE_S: Final = 20.0


def main() -> int:
    """Run it; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.async_faults")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="async-faults-") as folder:
        figures = run(Path(folder), arguments.requests, arguments.seed)
    print(json.dumps(figures, indent=2))
    return 0 if accounted_for(figures) else 1


def run(
    folder: Path, requests: int, seed: int, *, roles: Sequence[str] = ROLES
) -> dict[str, float]:
    """The figures of one run, with the runtime's state in a folder.

    Args:
        folder: the runtime's state.
        requests: to send at least; more follow until each role has been killed once.
        seed: of the moments.
        roles: what is killed.
    """
    with local_runtime(speed=1, arguments=["--state-dir", str(folder)]) as environment:
        accounts = Accounts(environment["AWS_ENDPOINT_URL"])
        began_s = time.monotonic()
        with _kills(random.Random(seed), folder, roles) as kills:  # noqa: S311 - no secret
            numbers = itertools.count()

            def send(_: int) -> list[Accepted]:
                accepted = []
                while (number := next(numbers)) < requests or not all(kills[r] for r in roles):
                    accepted.append(accounts.invoke(number))
                return accepted

            with ThreadPoolExecutor(SENDERS) as senders:
                accepted = list(itertools.chain(*senders.map(send, range(SENDERS))))
            wait_until_empty(folder)
        took_s = time.monotonic() - began_s
        figures = accounts.figures(accepted)
    return {
        **figures,
        **{f"kills of {role}": kills[role] for role in roles},
        "seconds": round(took_s, 1),
        "requests per second": round(len(accepted) / took_s, 1),
    }


@contextlib.contextmanager
def _kills(chance: random.Random, folder: Path, roles: Sequence[str]) -> Iterator[Counter[str]]:
    """Kill processes of the runtime with this state at random moments, until the end."""
    done: Counter[str] = Counter()
    (supervisor,) = _processes(f"--state-dir\0{folder}\0", below=os.getpid())
    ended = threading.Event()

    def kill() -> None:
        planes, last_plane_s = 0, time.monotonic()
        spared = chance.sample(roles, len(roles))
        while not ended.wait(chance.uniform(0.1, 1.0)):
            role = spared[-1] if spared else chance.choice(roles)
            if role != WORKER:
                if time.monotonic() - last_plane_s > _PLANES_PAUSE_S:
                    planes = 0
                if planes == _PLANES_IN_A_ROW:
                    continue
            found = _processes(role, below=supervisor)
            if found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(found), signal.SIGKILL)
                    done[role] += 1
                    spared = spared[:-1]
                if role != WORKER:
                    planes, last_plane_s = planes + 1, time.monotonic()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()


def _processes(role: str, *, below: int) -> list[int]:
    """Processes below another one whose command line names the role."""
    parents: dict[int, int] = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (path / "stat").read_text().rpartition(")")[2].split()
                parents[int(path.name)] = int(stat[1])
    found = []
    for pid in parents:
        ancestor: int | None = pid
        while ancestor is not None and ancestor != below:
            ancestor = parents.get(ancestor)
        if ancestor is not None and pid != ancestor:
            with contextlib.suppress(OSError):
                if role in Path("/proc", str(pid), "cmdline").read_text():
                    found.append(pid)
    return found


if __name__ == "__main__":
    sys.exit(main())
