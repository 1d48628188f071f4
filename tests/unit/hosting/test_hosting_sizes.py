"""The file of an environment's sizes: what it may say, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from hosting import sizes
from hosting.sizes import Sizes, SizesError


def read(tmp_path: Path, text: str) -> Sizes:
    path = tmp_path / "dev.toml"
    path.write_text(text)
    return sizes.read(path)


def test_every_key_is_read(tmp_path: Path) -> None:
    text = """
        [serverless]
        memory_size_mb = 3072
        max_concurrency = 8
        provisioned_concurrency = 2
        chosen_by_run = "20261121-7f3a"
        chosen_on = 2026-11-21

        [instances]
        instance_type = "ml.m5.large"
        count = 2
        scale_out_to = 6
    """

    assert read(tmp_path, text) == Sizes(
        memory_size_mb=3072,
        max_concurrency=8,
        provisioned_concurrency=2,
        instance_type="ml.m5.large",
        instance_count=2,
        scale_out_to=6,
    )


def test_a_file_of_comments_leaves_every_default(tmp_path: Path) -> None:
    assert read(tmp_path, "# nothing measured yet\n") == Sizes()


def test_no_provisioned_concurrency_is_written_as_zero(tmp_path: Path) -> None:
    text = "[serverless]\nprovisioned_concurrency = 0"

    assert read(tmp_path, text).provisioned_concurrency == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[serverless", r"dev\.toml must be TOML"),
        ("[server]\n", r"dev\.toml: sections must be serverless and instances, got server"),
        ("serverless = 3", "serverless must be a section, got 3"),
        (
            "[serverless]\nmemory = 1024",
            "keys of serverless must be among memory_size_mb, .* got memory",
        ),
        (
            "[serverless]\nmemory_size_mb = 1000",
            r"serverless\.memory_size_mb must be one of 1024, .*6144, got 1000",
        ),
        (
            "[serverless]\nmax_concurrency = 201",
            r"serverless\.max_concurrency must be a whole number, 1 to 200, got 201",
        ),
        ("[serverless]\nmax_concurrency = 1.5", "must be a whole number, 1 to 200, got 1.5"),
        ("[serverless]\nmax_concurrency = true", "a whole number, 1 to 200, got true"),
        ("[serverless]\nprovisioned_concurrency = -1", "0 to 200, got -1"),
        (
            '[instances]\ninstance_type = "m5.large"',
            r"instances\.instance_type must be an instance type such as ml\.m5\.large, got 'm5",
        ),
        ("[instances]\ncount = 0", r"instances\.count must be a whole number, 1 or more, got 0"),
        (
            "[instances]\nchosen_on = 'May'",
            "chosen_on must be a date such as 2026-11-21, got 'May'",
        ),
        ("[instances]\nchosen_by_run = 7", "chosen_by_run must be text, got 7"),
    ],
)
def test_what_no_environment_can_have_is_refused_by_file_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SizesError, match=message):
        read(tmp_path, text)
