"""Offered against achieved: the highest rate that a load generator keeps to its plan.

Judged by the server, so that every generator is judged alike: requests should come one gap apart.
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tools.bench import page
from tools.bench.load_client import BODY
from tools.bench.subjects import (
    BUILD,
    INSTALL_TIMEOUT_S,
    ROOT,
    SERVERS,
    Question,
    SkippedError,
    free_ports,
    program,
    wait_for,
)

HEADING: Final = "Load: offered against achieved"
OURS: Final = "this client"
LATENESS_MS: Final = 1.0
RATES_PER_S: Final = (250, 500, 1000, 2000, 3000, 4000, 6000, 8000, 10000, 12000, 16000, 20000)
FLOOR_PER_S: Final = 200
_FAILURES: Final = 2  # in a row, and higher rates are not tried
_ACHIEVED: Final = 0.99
_SETTLE_SHARE: Final = 0.2  # of the arrivals, from the start
_AUTOCANNON: Final = "autocannon@8.0.0"
_PATH: Final = "/endpoints/null/invocations"


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What the server saw of one run.

    Args:
        lateness_ms: p99 of the distance to arrivals that are one gap apart.
        cpu_us: of the generator, per request, with its start.
    """

    offered_per_s: float
    achieved_per_s: float
    lateness_ms: float
    cpu_us: float

    @property
    def held(self) -> bool:
        """Whether the plan was kept to."""
        achieved = self.achieved_per_s >= _ACHIEVED * self.offered_per_s
        return achieved and self.lateness_ms < LATENESS_MS


@dataclass(frozen=True, kw_only=True, slots=True)
class Generator:
    """A program that offers a constant rate, and its runs, a list for each round."""

    name: str
    command: Callable[[int, int, int], Sequence[str]]
    rounds: list[list[Seen]] = field(default_factory=list)

    def highest(self, number: int) -> float:
        """The highest rate that was held in a round; 0 when none was."""
        return max((seen.offered_per_s for seen in self.rounds[number] if seen.held), default=0.0)


def main(*, quick: bool) -> int:
    """Measure and write; the exit code."""
    rounds, seconds = (2, 2) if quick else (5, 3)
    port = free_ports(1)
    server = [sys.executable, str(SERVERS / "null_endpoint.py"), str(port)]
    BUILD.mkdir(parents=True, exist_ok=True)
    with program(server, folder=BUILD / "null-endpoint"):
        wait_for(port, Question(target="/", body=b"x"))
        generators, skipped = _generators()
        floor = _floor(port, seconds=5 if quick else 20)
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", flush=True)
            for generator in generators:
                generator.rounds.append(_climb(generator, port, seconds))
    section = _section(generators, skipped, floor, seconds=seconds, quick=quick)
    page.put_section(HEADING, section)
    print(section)
    return 0


# -- generators


def _generators() -> tuple[list[Generator], dict[str, str]]:
    """Ours, and the others that are there or install."""
    found = [Generator(name=OURS, command=_ours)]
    skipped: dict[str, str] = {}
    for name, make in (("autocannon", _autocannon), ("h2load", _h2load)):
        try:
            found.append(make())
        except SkippedError as error:
            skipped[name] = str(error)
            print(f"{name}: skipped, {error}", file=sys.stderr, flush=True)
    return found, skipped


def _ours(port: int, rate: int, seconds: int) -> Sequence[str]:
    return _client(port, rate, seconds, "constant")


def _client(port: int, rate: int, seconds: int, arrival: str) -> Sequence[str]:
    command = [sys.executable, "-m", "tools.bench.load_client", f"http://127.0.0.1:{port}"]
    return [*command, str(rate), str(seconds), arrival, "1"]


def _autocannon() -> Generator:
    """A generator for Node.js that corrects for coordinated omission, as wrk2 does."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise SkippedError("Node.js is not installed")
    folder = BUILD / "autocannon"
    script = folder / "node_modules" / "autocannon" / "autocannon.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder)]
        try:
            subprocess.run(
                [*install, _AUTOCANNON], check=True, capture_output=True, timeout=INSTALL_TIMEOUT_S
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise SkippedError("it does not install") from error

    def command(port: int, rate: int, seconds: int) -> Sequence[str]:
        return [
            *(node, str(script), "--json", "--no-progress", "--connections", "10"),
            *("--overallRate", str(rate), "--duration", str(seconds)),
            *("--method", "POST", "--body", BODY.decode(), "--headers", "content-type=text/csv"),
            f"http://127.0.0.1:{port}{_PATH}",
        ]

    return Generator(name=f"{_AUTOCANNON.replace('@', ' ')}, 10 connections", command=command)


def _h2load() -> Generator:
    """A generator in C that paces each connection by a timer."""
    program_path = shutil.which("h2load")
    if program_path is None:
        raise SkippedError("it is not installed (apt-get install nghttp2-client)")
    body = BUILD / "load-body.txt"
    body.write_bytes(BODY)
    words = subprocess.run(
        [program_path, "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()

    def command(port: int, rate: int, seconds: int) -> Sequence[str]:
        return [
            *(program_path, "--h1", "--clients", "1", "--threads", "1", "--rps", str(rate)),
            *("--duration", str(seconds), "--data", str(body), "-H", "content-type: text/csv"),
            f"http://127.0.0.1:{port}{_PATH}",
        ]

    return Generator(name=f"{words}, 1 connection", command=command)


# -- measuring


def _climb(generator: Generator, port: int, seconds: int) -> list[Seen]:
    """Higher and higher rates, until two in a row are not held."""
    seen: list[Seen] = []
    for rate in RATES_PER_S:
        seen.append(_run(generator.command(port, rate, seconds), port, rate))
        if not any(each.held for each in seen[-_FAILURES:]) and len(seen) >= _FAILURES:
            break
    return seen


def _run(command: Sequence[str], port: int, rate: int) -> Seen:
    _arrivals(port)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    arrivals_s = _arrivals(port)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return judge(arrivals_s, rate, cpu_s)


def judge(arrivals_s: Sequence[float], rate_per_s: float, cpu_s: float = 0.0) -> Seen:
    """What arrivals say of a plan with equal gaps.

    When the plan began is unknown; it is taken as early as the least late arrival allows. Its
    first fifth is left out: connections are opened, programs warm up.
    """
    count = len(arrivals_s)
    settled = arrivals_s[int(count * _SETTLE_SHARE) :]
    if len(settled) < 2:
        return Seen(offered_per_s=rate_per_s, achieved_per_s=0, lateness_ms=1e3, cpu_us=0)
    planned = [arrival - place / rate_per_s for place, arrival in enumerate(settled)]
    lateness = sorted(each - min(planned) for each in planned)
    return Seen(
        offered_per_s=rate_per_s,
        achieved_per_s=(len(settled) - 1) / (settled[-1] - settled[0]),
        lateness_ms=lateness[-(-len(lateness) * 99 // 100) - 1] * 1e3,
        cpu_us=cpu_s / count * 1e6,
    )


def _arrivals(port: int) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/arrivals")
    found: list[float] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def _floor(port: int, *, seconds: int) -> dict[str, Any]:
    """What our client sees of an endpoint that takes no time."""
    command = _client(port, FLOOR_PER_S, seconds, "poisson")
    time.sleep(0.5)
    printed = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(printed)
    return found


# -- the page


def _section(
    generators: Sequence[Generator],
    skipped: dict[str, str],
    floor: dict[str, Any],
    *,
    seconds: int,
    quick: bool,
) -> str:
    rounds = range(len(generators[0].rounds))
    ours = generators[0]
    rows = []
    for generator in generators:
        highest = [generator.highest(number) for number in rounds]
        ratios = [
            ours.highest(number) / other
            for number, other in enumerate(highest)
            if other and generator is not ours
        ]
        held = [seen for runs in generator.rounds for seen in runs if seen.held]
        busiest = max((seen.offered_per_s for seen in held), default=0.0)
        at_most = [seen for seen in held if seen.offered_per_s == busiest]
        rows.append(
            [
                generator.name,
                page.spread(highest, 0),
                f"{statistics.median(s.lateness_ms for s in at_most):.2f}" if at_most else "",
                f"{statistics.median(s.cpu_us for s in at_most):.0f}" if at_most else "",
                f"{page.spread(ratios, 2)}" if ratios else "",
            ]
        )
    head = (
        "generator",
        "highest rate held, requests/s",
        "p99 lateness there, ms",
        "processor time per request there, us",
        "this client's rate to its",
    )
    left_out = "".join(f"\n\n{name} is not in the table: {why}." for name, why in skipped.items())
    command = "python -m tools.bench load" + (" --quick" if quick else "")
    return f"""\
One process each offers requests at equal gaps to a server that answers at once, in Python, on the
same {os.cpu_count()} processors; {len(rounds)} rounds in turns, {seconds} s at each of
{len(RATES_PER_S)} rates from {RATES_PER_S[0]} to {RATES_PER_S[-1]:,} requests/s, until two in a row
are not held. Held is a rate when the server counts {_ACHIEVED:.0%} of it and 99 % of the requests
come less than {LATENESS_MS:g} ms later than planned, as the server sees it: all generators are
judged alike. The processor time has the program's start in it. {page.machine(command)}

{page.table(head, rows)}{left_out}

Measurement floor, what this client sees of that server at {FLOOR_PER_S} Poisson arrivals/s: service
time p50 {_ms(floor["service_p50_ms"])}, p99 {_ms(floor["service_p99_ms"])}; latency from the
intended time p50 {_ms(floor["latency_p50_ms"])}, p99 {_ms(floor["latency_p99_ms"])}; 1 % of the
requests sent {_ms(floor["lateness_p99_ms"])} late or later."""


def _ms(value: float | None) -> str:
    return "not supported by the sample" if value is None else f"{value:.2f} ms"
