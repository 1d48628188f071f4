from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarking import cold, compare, concurrency, stability
from benchmarking.arguments import parser, settings_of
from benchmarking.errors import RefusedError
from benchmarking.payloads import Payload
from benchmarking.preflight import Preflight
from benchmarking.records import Traffic
from benchmarking.settings import Settings

SUBJECT = ("--model-name", "m", "--payloads", "p.jsonl", "--out", "o")
MODEL = {
    "ModelName": "m",
    "PrimaryContainer": {
        "Image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2",
        "ModelDataUrl": "s3://models/m.tar.gz",
    },
}
FLIGHT = Preflight(
    model=MODEL,
    payloads=[Payload(body=b"1", content_type="text/csv")],
    bucket="models",
    quota=None,
)


def settings(verb: str, *more: str) -> Settings:
    options = parser().parse_args([verb, *SUBJECT, *more])
    if options.arrival is None:
        options.arrival = "poisson" if options.rate else "closed"
    return settings_of(options, region="us-east-1", model_name="m")


@pytest.mark.parametrize("verb", ["stability", "concurrency", "cold", "compare", "search"])
def test_settings_survive_the_runs_record(verb: str) -> None:
    asked = settings(
        verb, "--requests-per-month", "1e6", "--tag", "team=vision", "--budget-usd", "$2.50",
        "--serverless-quota", "5,10", "--throttle-share", "0.5%", "--duration", "2m",
    )  # fmt: skip

    assert Settings.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    assert asked.traffic == Traffic(requests_per_month=1e6)
    assert (asked.duration_s, asked.budget_usd, asked.serverless_quota) == (120, "2.50", (5, 10))
    assert asked.objective.throttle_share == 0.005


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory_sizes": (1000,)}, "memory_sizes must be among 1024, 2048"),
        ({"max_concurrency": (201,)}, "max_concurrency must be between 1 and 200, got 201"),
        ({"instance_types": ("ml.m5.huge",)}, "instance_type must be ml.m5.12xlarge"),
        ({"duration_s": 0.0}, "duration must be above 0, got 0"),
        ({"rates": (-1.0,)}, "rate must be above 0, got -1"),
        ({"gaps_s": (-1.0,)}, "gaps must be 0 or more, got -1"),
        ({"arrival": "trace"}, "trace must name a file"),
    ],
)
def test_what_cannot_be_used_is_named_with_what_could(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(RefusedError, match=message):
        Settings(verb="stability", model_name="m", payloads="p", region="r", **change)  # type: ignore[arg-type]


def test_every_memory_size_is_asked_one_request_after_the_other() -> None:
    trials = stability.trials(settings("stability"), FLIGHT)

    assert [trial.placement.memory_size_mb for trial in trials] == [
        1024, 2048, 3072, 4096, 5120, 6144,
    ]  # fmt: skip
    assert {trial.measurements[0].load.clients for trial in trials} == {1}
    assert trials[0].measurements[0].arrivals is None


def test_clients_are_multiples_of_the_concurrency_without_repeating_one() -> None:
    trials = concurrency.trials(
        settings("concurrency", "--max-concurrency", "1", "8", "--client-multiples", "1", "1.5"),
        FLIGHT,
    )

    levels = [[each.load.clients for each in trial.measurements] for trial in trials]
    assert levels == [[1, 2], [8, 12]]


def test_several_rates_make_several_levels() -> None:
    (trial,) = concurrency.trials(
        settings("concurrency", "--max-concurrency", "2", "--rate", "5", "50"), FLIGHT
    )

    assert [each.load.rate_per_s for each in trial.measurements] == [5, 50]
    assert [each.name for each in trial.measurements] == ["5ps", "50ps"]


def test_an_endpoint_is_warmed_before_it_is_left_alone() -> None:
    (trial,) = cold.trials(
        settings("cold", "--memory-sizes", "1024", "--gaps", "1m", "10m", "--bursts", "1", "4"),
        FLIGHT,
    )

    warm, *gaps = trial.measurements
    assert (warm.gap_s, warm.requests) == (None, 100)
    assert [each.gap_s for each in gaps] == [60, 60, 600, 600] * 3
    assert [len(each.arrivals) for each in gaps if each.arrivals] == [1, 4, 1, 4] * 3
    assert trial.placement.max_concurrency == 4


def test_every_option_is_offered_the_very_same_arrivals() -> None:
    trials = compare.trials(settings("compare", "--rate", "20"), FLIGHT)

    assert len({trial.placement.option for trial in trials}) == 5
    offered = {trial.measurements[0].arrivals.offsets_s.tobytes() for trial in trials
               if trial.measurements[0].arrivals}  # fmt: skip
    assert len(offered) == 1


def test_options_that_a_model_rules_out_say_why() -> None:
    gpu = {
        "Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6-gpu-py312",
        "ModelDataUrl": "s3://models/m.tar.gz",
    }
    flight = Preflight(
        model={**MODEL, "PrimaryContainer": gpu, "VpcConfig": {"Subnets": ["s"]}},
        payloads=FLIGHT.payloads,
        bucket="models",
        quota=None,
    )

    trials = compare.trials(settings("compare", "--memory-sizes", "1024"), flight)

    reasons = {trial.placement.option: trial.infeasible for trial in trials}
    assert reasons["serverless"] is not None
    assert "image is for GPUs" in reasons["serverless"]
    assert "VPC configuration" in reasons["serverless"]
    assert reasons["real-time"] == "its image is for GPUs, ml.m5.large has none"
    assert reasons["serverless-provisioned"] == reasons["serverless"]


def test_a_month_that_cannot_be_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    three = tmp_path / "hours.json"
    three.write_text("[1, 2, 3]")

    with pytest.raises(RefusedError, match="hourly must have 24 weights, got 3"):
        settings("compare", "--requests-per-month", "1e6", "--hourly", str(three))
    with pytest.raises(RefusedError, match=r"peak_to_mean must be between 1 and 24, got 50"):
        settings("compare", "--requests-per-month", "1e6", "--peak-to-mean", "50")
