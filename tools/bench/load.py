"""Load from wrk: the same requests again and again over a fixed number of connections."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MISSING = "wrk is not installed (apt-get install wrk, brew install wrk)"

# Ready-made requests in turn: a client signs each of its requests anew, so no two heads are equal.
# Microseconds from wrk's histogram; a status other than 2xx or 3xx is an error to it.
_SCRIPT = """\
local requests = {{ {requests} }}
local next = 0
function request()
  next = next % #requests + 1
  return requests[next]
end
function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\\n{{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "errors": %d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What one run of wrk has seen."""

    rps: float
    p50_ms: float
    p99_ms: float


def installed() -> bool:
    """Whether wrk is there."""
    return shutil.which("wrk") is not None


def write_script(path: Path, requests: Sequence[bytes]) -> None:
    """Make the wrk script that sends these requests, each with its head."""
    literals = (
        '"' + "".join(chr(c) if 35 <= c < 127 and c != 92 else f"\\{c:03d}" for c in each) + '"'
        for each in requests
    )
    path.write_text(_SCRIPT.format(requests=",\n".join(literals)), "ascii")


def run(port: int, script: Path, *, connections: int, seconds: float) -> Sample:
    """Load a server on the loopback interface.

    Raises:
        RuntimeError: an answer was not a success, so that the figures would mean nothing.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", str(script)]
    printed = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/"], check=True, capture_output=True, text=True
    ).stdout
    seen = json.loads(printed.strip().rpartition("\n")[2])
    if seen["errors"] or not seen["requests"]:
        raise RuntimeError(f"{seen['errors']} of {seen['requests']} requests failed")
    return Sample(
        rps=seen["requests"] / seen["duration_us"] * 1e6,
        p50_ms=seen["p50_us"] / 1000,
        p99_ms=seen["p99_us"] / 1000,
    )
