"""What the shared checks let through, what they refuse, and how they say it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting import limits, validation
from hosting.instances import instance_types
from hosting.limits import Bounds


def test_complaints_of_several_checks_leave_as_one_error() -> None:
    with pytest.raises(
        ValueError,
        match=re.escape(
            "containers must number 2 to 15, got 1; volume_size_gb must be between 1 and 512, got 0"
        ),
    ):
        validation.require(
            validation.pipeline_length(1),
            validation.within("volume_size_gb", 0, limits.VOLUME_SIZE_GB),
        )


def test_nothing_is_raised_when_nothing_is_wrong() -> None:
    validation.require(validation.pipeline_length(2), [], validation.name("endpoint_name", "a"))


@pytest.mark.parametrize("value", instance_types())
def test_every_known_instance_type_has_the_form_of_one(value: str) -> None:
    assert validation.instance_type("instance_type", value) == []


@pytest.mark.parametrize("value", ["", "m5.large", "ml.m5", "ml.m5.large ", "ml.M5.large"])
def test_what_has_another_form_is_no_instance_type(value: str) -> None:
    assert validation.instance_type("instance_type", value) == [
        f"instance_type must be an endpoint instance type such as ml.m5.large, got {value!r}"
    ]


@pytest.mark.parametrize("count", [2, 15])
def test_a_pipeline_has_two_to_fifteen_containers(count: int) -> None:
    assert validation.pipeline_length(count) == []


@pytest.mark.parametrize("count", [0, 1, 16])
def test_a_pipeline_of_another_length_is_refused_with_its_length(count: int) -> None:
    assert validation.pipeline_length(count) == [f"containers must number 2 to 15, got {count}"]


def test_a_number_without_an_upper_bound_is_refused_only_below() -> None:
    assert validation.within("initial_weight", -0.5, Bounds(0)) == [
        "initial_weight must be 0 or more, got -0.5"
    ]
    assert validation.within("initial_weight", 0, Bounds(0)) == []


def test_not_a_number_is_outside_every_bound() -> None:
    assert validation.within("initial_weight", float("nan"), Bounds(0, 1)) != []
    assert validation.within("initial_weight", float("nan"), Bounds(0)) != []


@pytest.mark.parametrize("value", ["a", "A1", "a-b", "a--b", "x" * 63])
def test_names_of_letters_digits_and_inner_hyphens_are_accepted(value: str) -> None:
    assert validation.name("endpoint_name", value) == []


@pytest.mark.parametrize("value", ["", "-a", "a-", "a_b", "a b", "ä", "a\n", "x" * 64])
def test_other_names_are_refused_and_shown(value: str) -> None:
    [complaint] = validation.name("endpoint_name", value)

    assert complaint.startswith("endpoint_name must be 1 to 63 letters, digits and hyphens")
    assert complaint.endswith(f"got {value!r}")


def test_the_length_of_a_name_counts_beside_its_pattern() -> None:
    """The pattern repeats a group of any length 62 times, so it alone admits 64 characters."""
    value = "a" + "-" * 62 + "a"

    assert re.fullmatch(limits.NAME_PATTERN, value)
    assert validation.name("endpoint_name", value) != []


@given(st.text(alphabet="aB1-_", max_size=70))
def test_both_patterns_of_the_service_model_admit_the_same_names(value: str) -> None:
    model_name = len(value) <= 63 and re.fullmatch(limits.MODEL_NAME_PATTERN, value) is not None

    assert (validation.name("model_name", value) == []) is model_name


@pytest.mark.parametrize("values", [[None, None], ["first", "second"], []])
def test_host_names_are_given_for_all_containers_or_for_none(values: list[str | None]) -> None:
    assert validation.hostnames(values) == []


def test_a_container_without_a_host_name_among_others_is_named() -> None:
    assert validation.hostnames(["first", None, "third", None]) == [
        "hostname must be set for all containers or for none, got none for containers 2, 4"
    ]


def test_containers_that_are_invoked_directly_all_need_a_host_name() -> None:
    assert validation.hostnames([None, None], direct=True) == [
        "hostname must be set for each container of Direct mode, got none for containers 1, 2"
    ]


def test_a_repeated_host_name_is_refused_once() -> None:
    assert validation.hostnames(["a", "b", "a", "a"]) == [
        "hostname must differ between containers, got 'a' more than once"
    ]


def test_an_environment_at_every_limit_is_accepted() -> None:
    value_bytes = limits.ENVIRONMENT_VALUE_MAX_BYTES
    entries = {f"K{index:04}": "v" * (value_bytes - 5) for index in range(16)}

    assert validation.environment([entries, entries]) == []


def test_the_environments_of_all_containers_are_summed() -> None:
    entries = {f"K{index:04}": "v" * 1019 for index in range(16)}

    assert validation.environment([entries, {**entries, "ONE": "x"}]) == [
        (
            "environment: keys and values of all containers together must have at most"
            " 32768 bytes, got 32772"
        )
    ]


def test_an_environment_value_is_measured_in_bytes() -> None:
    assert validation.environment([{"GREETING": "é" * 512}]) == []
    assert validation.environment([{"GREETING": "é" * 513}]) == [
        "environment: a value must have at most 1024 bytes, got 1026 for 'GREETING'"
    ]


def test_more_than_a_hundred_entries_are_refused_with_their_number() -> None:
    assert validation.environment([{}, {f"K{n}": "" for n in range(101)}]) == [
        "environment of container 2 must have at most 100 entries, got 101"
    ]


@pytest.mark.parametrize("key", ["", "1A", "A-B", "A.B", "Ä", "A\n"])
def test_an_environment_key_that_no_shell_would_take_is_refused(key: str) -> None:
    [complaint] = validation.environment([{key: "x"}])

    assert complaint.endswith(f"got {key!r}")


@pytest.mark.parametrize(
    ("primary", "containers", "ending"),
    [
        (True, 2, "got both"),
        (True, 0, "got both"),
        (False, None, "got neither"),
        (False, 0, "got 0"),
        (False, 16, "got 16"),
    ],
)
def test_a_model_names_its_containers_in_exactly_one_way(
    primary: bool, containers: int | None, ending: str
) -> None:
    [complaint] = validation.model_containers(primary=primary, containers=containers)

    assert complaint.endswith(ending)


def test_a_model_of_one_container_in_a_list_is_accepted() -> None:
    assert validation.model_containers(primary=False, containers=1) == []
    assert validation.model_containers(primary=True, containers=None) == []


def test_at_most_one_container_of_a_model_holds_several_models() -> None:
    assert validation.multi_model_containers(["SingleModel", "MultiModel", None]) == []
    assert validation.multi_model_containers(["MultiModel", "MultiModel"]) == [
        "containers in MultiModel mode must number at most 1, got 2"
    ]
    assert validation.multi_model_containers(["Multi"]) == [
        "Mode must be SingleModel or MultiModel, got 'Multi'"
    ]


@pytest.mark.parametrize(
    ("url", "multi_model"),
    [("s3://bucket/model.tar.gz", False), ("s3://bucket/models/", True)],
)
def test_model_data_is_an_archive_or_for_several_models_a_prefix(
    url: str, multi_model: bool
) -> None:
    assert validation.model_data_url(url, multi_model=multi_model) == []
    assert validation.model_data_url(url, multi_model=not multi_model) != []


@pytest.mark.parametrize("url", ["", "model.tar.gz", "s3://", "file:///model.tar.gz"])
def test_model_data_outside_s3_is_refused(url: str) -> None:
    assert validation.model_data_url(url)[0].endswith(f"got {url!r}")


def test_a_long_value_is_cut_in_the_message() -> None:
    [complaint] = validation.model_data_url("s3://bucket/" + "x" * 5000)

    assert complaint.endswith("... (5012 characters)")
    assert len(complaint) < 300


def test_variants_number_one_to_ten_and_differ() -> None:
    assert validation.variants([f"v{n}" for n in range(10)]) == []
    assert validation.variants([]) == ["production variants must number 1 to 10, got 0"]
    assert validation.variants(["a", "b", "a"]) == [
        "variant names must differ, got 'a' more than once"
    ]


def test_a_shadow_needs_exactly_one_production_variant() -> None:
    assert validation.variants(["live"], shadows=["next"]) == []
    assert validation.variants(["a", "b"], shadows=["c"]) == [
        "a shadow variant needs exactly one production and one shadow variant, got 2 and 1"
    ]


def test_serverless_memory_comes_in_steps_of_a_gigabyte() -> None:
    assert validation.serverless_size(2048, 200, 200) == []
    assert validation.serverless_size(1536, 5) == [
        "memory_size_mb must be one of (1024, 2048, 3072, 4096, 5120, 6144), got 1536"
    ]


def test_provisioned_concurrency_is_part_of_the_maximum() -> None:
    assert validation.serverless_size(1024, 4, 5) == [
        "provisioned_concurrency must be at most max_concurrency (4), got 5"
    ]


def test_zero_concurrency_is_refused_by_name() -> None:
    assert validation.serverless_size(1024, 0, 0) == [
        "max_concurrency must be between 1 and 200, got 0",
        "provisioned_concurrency must be between 1 and 200, got 0",
    ]


def test_custom_attributes_are_at_most_1024_ascii_characters() -> None:
    assert validation.custom_attributes("trace=" + "x" * 1018) == []
    assert validation.custom_attributes("x" * 1025) != []
    assert validation.custom_attributes("é") != []


def test_a_target_model_is_printable_and_starts_with_no_space() -> None:
    assert validation.target_model("/a b/model.tar.gz") == []
    for refused in ("", " a", "a\n", "modèle", "x" * 1025):
        assert validation.target_model(refused) != []


def test_an_inference_id_has_one_to_64_characters() -> None:
    assert validation.inference_id("x" * 64) == []
    assert validation.inference_id("x" * 65) != []


@given(st.lists(st.none() | st.text(max_size=8), max_size=6), st.booleans())
def test_accepted_host_names_are_none_or_all_distinct_names(
    values: list[str | None], direct: bool
) -> None:
    if validation.hostnames(values, direct=direct) == []:
        given_names = [value for value in values if value is not None]
        assert len(given_names) in ({len(values)} if direct else {0, len(values)})
        assert len(set(given_names)) == len(given_names)
        assert all(validation.name("hostname", value) == [] for value in given_names)
