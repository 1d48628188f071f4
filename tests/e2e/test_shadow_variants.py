"""Shadow variants: copies of requests whose answers nobody sees."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import ECHO, Runtime, wait_until

pytestmark = pytest.mark.e2e


def noting(folder: Path, text: str, *, first: str = "") -> str:
    """A handler that answers ``text`` and leaves a file for each request, named by its body."""
    note = f"import pathlib, time; {first}(pathlib.Path({str(folder)!r}) / data.decode()).touch()"
    return ECHO.replace("return data\n\ndef output", f"{note}\n    return b{text!r}\n\ndef output")


def config(runtime: Runtime, shadow: dict[str, Any], **production: Any) -> str:
    return runtime.config_of(
        [runtime.variant(runtime.handler(ECHO), VariantName="production", **production)],
        ShadowProductionVariants=[shadow],
    )


def shadow_of(runtime: Runtime, code: str, weight: float = 1.0) -> dict[str, Any]:
    return runtime.variant(runtime.handler(code), VariantName="shadow", InitialVariantWeight=weight)


def test_a_shadow_variant_gets_every_request_and_the_caller_the_other_answer(
    runtime: Runtime, tmp_path: Path
) -> None:
    shadow = shadow_of(runtime, noting(tmp_path, "shadow"))
    name = runtime.deploy_config(config(runtime, shadow))

    answers = [runtime.invoke(name, f"request-{n}") for n in range(5)]

    assert [answer["Body"] for answer in answers] == [b"request-%d" % n for n in range(5)]
    assert {answer["InvokedProductionVariant"] for answer in answers} == {"production"}
    wait_until(lambda: len(list(tmp_path.iterdir())) == 5)
    described = runtime.sagemaker.describe_endpoint(EndpointName=name)
    assert [v["VariantName"] for v in described["ShadowProductionVariants"]] == ["shadow"]


def test_its_weight_says_which_share_it_gets(runtime: Runtime, tmp_path: Path) -> None:
    shadow = shadow_of(runtime, noting(tmp_path, "shadow"), weight=1.0)
    name = runtime.deploy_config(config(runtime, shadow, InitialVariantWeight=4.0))

    for n in range(200):
        runtime.invoke(name, f"request-{n}")

    # A quarter of 200: fewer than 20 or more than 90 has a chance of less than one in a million.
    wait_until(lambda: len(list(tmp_path.iterdir())) >= 20)
    assert len(list(tmp_path.iterdir())) <= 90


def test_with_weight_0_it_gets_none(runtime: Runtime, tmp_path: Path) -> None:
    shadow = shadow_of(runtime, noting(tmp_path, "shadow"), weight=0.0)
    name = runtime.deploy_config(config(runtime, shadow))

    for n in range(20):
        runtime.invoke(name, f"request-{n}")

    assert list(tmp_path.iterdir()) == []


def test_one_that_is_slow_or_fails_is_nothing_to_the_caller(
    runtime: Runtime, tmp_path: Path
) -> None:
    slow = noting(tmp_path, "shadow", first="time.sleep(600); ")
    name = runtime.deploy_config(config(runtime, shadow_of(runtime, slow)))
    began_s = time.monotonic()

    for n in range(20):  # more than its queue takes
        assert runtime.invoke(name, f"request-{n}")["Body"] == f"request-{n}".encode()

    assert time.monotonic() - began_s < 50  # for one of them the runtime would wait a minute


def test_it_cannot_be_asked_by_name(runtime: Runtime, tmp_path: Path) -> None:
    shadow = shadow_of(runtime, noting(tmp_path, "shadow"))
    name = runtime.deploy_config(config(runtime, shadow))

    with pytest.raises(ClientError, match="Variant shadow not found"):
        runtime.invoke(name, TargetVariant="shadow")


def test_a_variant_of_weight_0_answers_who_names_it(runtime: Runtime) -> None:
    always = ECHO.replace("return data, accept", "return 'quiet', accept")
    name = runtime.deploy_config(
        runtime.config_of(
            [
                runtime.variant(runtime.handler(ECHO), VariantName="loud"),
                runtime.variant(
                    runtime.handler(always), VariantName="quiet", InitialVariantWeight=0.0
                ),
            ]
        )
    )

    assert {runtime.invoke(name, b"x")["Body"] for _ in range(20)} == {b"x"}
    assert runtime.invoke(name, b"x", TargetVariant="quiet")["Body"] == b"quiet"
