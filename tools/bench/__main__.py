"""Measure, and write what was measured into docs/benchmarks.md.

    python -m tools.bench runtime [--quick]      InvokeEndpoint beside other servers
    python -m tools.bench multi-model [--quick]  many models beside Multi Model Server
    python -m tools.bench cold-start [--quick]   serverless cold starts
    python -m tools.bench drain [--quick]        an asynchronous queue beside the object store
    python -m tools.bench deploy [--quick]       cdk deploy --all, and whose time it is
    python -m tools.bench synth [--quick]        the app's synth beside raw L1
    python -m tools.bench rules                  the rules over templates
    python -m tools.bench load [--quick]         offered load against achieved, beside others
    python -m tools.bench truth [--quick]        benchmarks against a runtime that is known
    python -m tools.bench coverage [--quick]     how often the bounds of figures hold

Peers are installed into environments of their own below build/bench; what does not install or
start is named and left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Final

from tools.bench import (
    cold_start,
    coverage,
    deploy,
    drain,
    load_generator,
    multi_model,
    runtime,
    synth,
    truth,
)

_BENCHMARKS: Final = {
    "runtime": runtime.main,
    "multi-model": multi_model.main,
    "cold-start": cold_start.main,
    "drain": drain.main,
    "deploy": deploy.main,
    "synth": synth.main,
    "load": load_generator.main,
    "truth": truth.main,
    "coverage": coverage.main,
}


def main() -> int:
    """Run one benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench")
    parser.add_argument("benchmark", choices=(*_BENCHMARKS, "rules"))
    parser.add_argument("--quick", action="store_true", help="fewer rounds and fewer peers")
    arguments = parser.parse_args()
    if arguments.benchmark in _BENCHMARKS:
        return _BENCHMARKS[arguments.benchmark](quick=arguments.quick)
    return subprocess.run([sys.executable, "-m", "tools.bench_rules"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
