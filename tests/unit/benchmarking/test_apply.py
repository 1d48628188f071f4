"""Measured sizes in an environment's file: shown first, comments kept, nothing else touched."""

from __future__ import annotations

import io
import random
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from benchmarking import records
from benchmarking.apply import UneditableError, apply, edited, plan
from benchmarking.errors import RefusedError
from benchmarking.records import Cell, ClientHealth, Load, Objective, Run, Sample

SERVERLESS = Cell(
    id="small",
    option="serverless",
    memory_size_mb=3072,
    max_concurrency=8,
    load=Load(arrival="poisson", rate_per_s=100, clients=None, duration_s=10),
    client=ClientHealth(lateness_p99_s=0.0001, loop_lag_p99_s=0.0001, cpu_share=0.1, backlog_max=1),
    started_at="2026-11-21T10:00:00+00:00",
    finished_at="2026-11-21T10:00:10+00:00",
)
INSTANCES = Cell(
    id="large",
    option="real-time",
    instance_type="ml.c5.xlarge",
    min_instances=2,
    max_instances=6,
)
ASYNC = Cell(
    id="queue", option="async", instance_type="ml.m5.large", min_instances=0, max_instances=1
)


def left_by_a_run(folder: Path, *, latency_s: float = 0.05, **changes: Any) -> Path:
    """What a run leaves in which the first cell meets its objective, or misses it."""
    fields: dict[str, Any] = {
        "verb": "search",
        "run_id": "7f3a",
        "state": "complete",
        "started_at": "2026-11-21T09:59:00+00:00",
        "model_name": "digits",
        "region": "us-east-1",
        "seed": 1,
        "arguments": {},
        "environment": {},
        "payload_bytes": (100,),
        "objective": Objective(latency_p99_ms=200),
        "cells": (SERVERLESS, INSTANCES, ASYNC),
    }
    folder.mkdir()
    records.write_run(folder, Run(**(fields | changes)))
    chance = random.Random(1)  # noqa: S311 - latencies, not secrets
    with (folder / records.SAMPLES_FILE).open("w") as stream:
        for number in range(1000):
            sent_s = number / 100
            done_s = sent_s + latency_s * chance.uniform(1, 1.5)
            records.write_sample(
                stream,
                Sample(
                    cell="small",
                    number=number,
                    phase="measure",
                    payload=0,
                    intended_s=sent_s,
                    sent_s=sent_s,
                    first_byte_s=done_s,
                    done_s=done_s,
                    status=200,
                    outcome="ok",
                    error=None,
                    request_bytes=100,
                    response_bytes=10,
                    cold=False,
                ),
            )
    return folder


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    folder = tmp_path / "settings"
    folder.mkdir()
    (folder / "dev.toml").write_text("# sizes of dev\n")
    (folder / "prod.toml").write_text("")
    return folder


def refuse(question: str) -> str:
    raise AssertionError(f"asked: {question}")


def test_the_recommended_sizes_are_written_with_the_run_and_its_day(
    tmp_path: Path, settings: Path
) -> None:
    run = left_by_a_run(tmp_path / "run")

    assert apply(run, "dev", settings=settings, yes=True, ask=refuse) == "written"

    assert (settings / "dev.toml").read_text() == (
        "# sizes of dev\n"
        "\n"
        "[serverless]\n"
        "memory_size_mb = 3072\n"
        "max_concurrency = 8\n"
        "provisioned_concurrency = 0\n"
        'chosen_by_run = "7f3a"\n'
        "chosen_on = 2026-11-21\n"
    )
    assert (settings / "prod.toml").read_text() == ""
    assert sorted(path.name for path in settings.iterdir()) == ["dev.toml", "prod.toml"]


def test_the_difference_is_shown_before_the_question(tmp_path: Path, settings: Path) -> None:
    out = io.StringIO()
    seen_when_asked = []

    def no(question: str) -> str:
        seen_when_asked.append(out.getvalue())
        return "n"

    outcome = apply(left_by_a_run(tmp_path / "run"), "dev", settings=settings, ask=no, out=out)

    assert outcome == "declined"
    assert "+memory_size_mb = 3072\n" in seen_when_asked[0]
    assert (settings / "dev.toml").read_text() == "# sizes of dev\n"


def test_without_anybody_to_answer_nothing_is_written(tmp_path: Path, settings: Path) -> None:
    def nobody(question: str) -> str:
        raise EOFError

    run = left_by_a_run(tmp_path / "run")

    assert apply(run, "dev", settings=settings, ask=nobody, out=io.StringIO()) == "declined"


def test_applying_a_run_twice_changes_nothing(tmp_path: Path, settings: Path) -> None:
    run, out = left_by_a_run(tmp_path / "run"), io.StringIO()
    apply(run, "dev", settings=settings, yes=True, out=out)

    assert apply(run, "dev", settings=settings, ask=refuse, out=out) == "unchanged"
    assert "says so already" in out.getvalue()


def test_a_named_cell_is_applied_in_place_of_the_recommended(
    tmp_path: Path, settings: Path
) -> None:
    change = plan(left_by_a_run(tmp_path / "run"), "dev", settings=settings, cell="large")

    assert tomllib.loads(change.after)["instances"] == {
        "instance_type": "ml.c5.xlarge",
        "count": 2,
        "scale_out_to": 6,
        "chosen_by_run": "7f3a",
        "chosen_on": date(2026, 11, 21),
    }


def test_an_endpoint_that_scales_to_zero_still_starts_with_an_instance(
    tmp_path: Path, settings: Path
) -> None:
    change = plan(left_by_a_run(tmp_path / "run"), "dev", settings=settings, cell="queue")

    instances = tomllib.loads(change.after)["instances"]
    assert instances["count"] == 1
    assert "scale_out_to" not in instances


def test_a_run_that_recommends_nothing_is_not_applied(tmp_path: Path, settings: Path) -> None:
    slow = left_by_a_run(tmp_path / "slow", latency_s=0.5)

    with pytest.raises(RefusedError, match="run 7f3a recommends nothing"):
        plan(slow, "dev", settings=settings)


def test_an_interrupted_run_is_not_applied_unless_a_cell_is_named(
    tmp_path: Path, settings: Path
) -> None:
    cut_short = left_by_a_run(tmp_path / "cut", state="interrupted")

    with pytest.raises(RefusedError, match="must be complete to be applied, got interrupted"):
        plan(cut_short, "dev", settings=settings)
    assert plan(cut_short, "dev", settings=settings, cell="small").diff


@pytest.mark.parametrize(
    ("env", "cell", "message"),
    [
        ("qa", None, r"env must be one of dev, prod \(in .*settings\), got qa"),
        ("../dev", None, r"env must be one of dev, prod"),
        ("dev", "other", "cell must be one of small, large, queue, got other"),
    ],
)
def test_an_unknown_environment_or_cell_is_refused_with_the_known(
    tmp_path: Path, settings: Path, env: str, cell: str | None, message: str
) -> None:
    with pytest.raises(RefusedError, match=message):
        plan(left_by_a_run(tmp_path / "run"), env, settings=settings, cell=cell)


def test_a_folder_without_settings_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        RefusedError, match=r"settings must be a folder with a file NAME\.toml each"
    ):
        plan(left_by_a_run(tmp_path / "run"), "dev", settings=tmp_path / "none")


def test_a_file_that_is_already_wrong_is_refused_by_its_key(tmp_path: Path, settings: Path) -> None:
    (settings / "dev.toml").write_text("[serverless]\nmemory = 7\n")

    with pytest.raises(RefusedError, match=r"dev\.toml: keys of serverless .* got memory"):
        plan(left_by_a_run(tmp_path / "run"), "dev", settings=settings)


def test_a_file_that_cannot_be_edited_safely_is_left_alone(tmp_path: Path, settings: Path) -> None:
    path = settings / "dev.toml"
    path.write_text("serverless = { memory_size_mb = 1024 }\n")

    with pytest.raises(RefusedError, match="set by hand: memory_size_mb = 3072, max_concurrency"):
        apply(left_by_a_run(tmp_path / "run"), "dev", settings=settings, yes=True)
    assert path.read_text() == "serverless = { memory_size_mb = 1024 }\n"


def test_line_ends_and_permissions_of_the_file_stay(tmp_path: Path, settings: Path) -> None:
    path = settings / "dev.toml"
    path.write_bytes(b"[serverless]\r\nmemory_size_mb = 1024 # small\r\n")
    path.chmod(0o640)

    apply(left_by_a_run(tmp_path / "run"), "dev", settings=settings, yes=True, out=io.StringIO())

    assert path.read_bytes().startswith(b"[serverless]\r\nmemory_size_mb = 3072 # small\r\nmax_")
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")
    assert path.stat().st_mode & 0o777 == 0o640


def test_values_are_replaced_where_they_stand_and_comments_stay() -> None:
    before = (
        "# sizes\n"
        "[serverless] # measured\n"
        "  memory_size_mb=1024 # MB, as the service says it\n"
        "\n"
        "# the rest\n"
        "[instances]\n"
        "count = 1"
    )

    after = edited(before, "serverless", {"memory_size_mb": 2048, "chosen_by_run": "a#b"})

    assert after == (
        "# sizes\n"
        "[serverless] # measured\n"
        "  memory_size_mb=2048 # MB, as the service says it\n"
        'chosen_by_run = "a#b"\n'
        "\n"
        "# the rest\n"
        "[instances]\n"
        "count = 1\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "serverless.memory_size_mb = 1024\n",
        '["serverless"]\nmemory_size_mb = 1024\n',
        '[serverless]\n"memory_size_mb" = 1024\n',
        "[[serverless]]\nmemory_size_mb = 1024\n",
    ],
)
def test_toml_spelled_in_another_way_is_refused_not_broken(text: str) -> None:
    with pytest.raises(UneditableError):
        edited(text, "serverless", {"memory_size_mb": 2048})


names = st.sampled_from(["a", "b", "memory_size_mb", "count"])
scalars = st.one_of(
    st.integers(0, 9999).map(str), st.sampled_from(["'x # y'", '"z"', "2026-11-21", "1.5"])
)
sections = st.dictionaries(
    st.sampled_from(["serverless", "instances", "other"]),
    st.dictionaries(
        names, st.tuples(scalars, st.sampled_from(["", " # why", "# why"])), max_size=3
    ),
    max_size=3,
)


@hypothesis_settings(deadline=None)
@given(sections, st.dictionaries(names, st.integers(0, 99), min_size=1))
def test_an_edit_sets_what_was_asked_for_and_nothing_else(
    document: dict[str, dict[str, tuple[str, str]]], values: dict[str, int]
) -> None:
    text = "# top\n" + "".join(
        f"\n[{section}]\n" + "".join(f"{key} = {v}{why}\n" for key, (v, why) in keys.items())
        for section, keys in document.items()
    )

    after = edited(text, "serverless", values)

    expected = tomllib.loads(text)
    expected.setdefault("serverless", {}).update(values)
    assert tomllib.loads(after) == expected
    assert after.count("# why") == text.count("# why")
    assert edited(after, "serverless", values) == after
