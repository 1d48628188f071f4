"""One process of ours that offers a constant rate, for the load generators' comparison.

python -m tools.bench.load_client URL RATE SECONDS ARRIVAL SEED

Prints JSON: what the client says of itself, and percentiles of what it saw, in milliseconds.
"""

from __future__ import annotations

import json
import sys
import time

from botocore.credentials import ReadOnlyCredentials

from benchmarking.load import Target, run_open
from benchmarking.payloads import Payload
from benchmarking.records import Sample
from benchmarking.statistics import percentile
from benchmarking.workload import constant, poisson

BODY = b"0.5,-1.25,3.75,2.0,0.125,-0.5,1.5,2.5,-3.0,4.0"


def main() -> None:
    """Offer the load."""
    url, rate, seconds, arrival, seed = sys.argv[1:]
    keys = ReadOnlyCredentials("benchmark", "benchmark", None)
    rate_per_s, duration_s = float(rate), float(seconds)
    plan = (
        constant(rate_per_s, duration_s)
        if arrival == "constant"
        else poisson(rate_per_s, duration_s, int(seed))
    )
    samples: list[Sample] = []
    began_s = time.process_time()
    health = run_open(
        Target(url=url, endpoint_name="null", region="us-east-1", credentials=lambda: keys),
        [Payload(body=BODY, content_type="text/csv")],
        plan,
        cell="load",
        seed=int(seed),
        on_sample=samples.append,
    )
    cpu_s = time.process_time() - began_s
    samples.sort(key=lambda sample: sample.number)
    seen = {
        "latency": [sample.latency_s * 1e3 for sample in samples],
        "service": [sample.service_time_s * 1e3 for sample in samples],
    }
    floor = {
        f"{name}_p{q}_ms": None if (found := percentile(values, q)) is None else found.value
        for name, values in seen.items()
        for q in (50, 99)
    }
    print(
        json.dumps(
            {
                "requests": len(samples),
                "failed": sum(sample.outcome != "ok" for sample in samples),
                "lateness_p99_ms": (health.lateness_p99_s or 0.0) * 1e3,
                "loop_lag_p99_ms": health.loop_lag_p99_s * 1e3,
                "cpu_share": health.cpu_share,
                "cpu_us": cpu_s / len(samples) * 1e6,
                **floor,
            }
        )
    )


if __name__ == "__main__":
    main()
