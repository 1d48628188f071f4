"""Benchmarks: ours and others in turns, on one machine, written into docs/benchmarks.md."""
