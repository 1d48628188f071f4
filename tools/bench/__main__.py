"""Measure, and write what was measured into docs/benchmarks.md.

    python -m tools.bench runtime [--quick]      InvokeEndpoint beside other servers
    python -m tools.bench synth [--quick]        the app's synth beside raw L1
    python -m tools.bench rules                  the rules over templates

Peers are installed into environments of their own below build/bench; what does not install or
start is named and left out.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from tools.bench import runtime, synth


def main() -> int:
    """Run one benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench")
    parser.add_argument("benchmark", choices=("runtime", "synth", "rules"))
    parser.add_argument("--quick", action="store_true", help="fewer rounds and fewer peers")
    arguments = parser.parse_args()
    if arguments.benchmark == "runtime":
        return runtime.main(quick=arguments.quick)
    if arguments.benchmark == "synth":
        return synth.main(quick=arguments.quick)
    return subprocess.run([sys.executable, "-m", "tools.bench_rules"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
