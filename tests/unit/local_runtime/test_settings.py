"""The settings file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_runtime.settings import (
    Choices,
    ImageMapping,
    Limits,
    RuntimeSettings,
    SettingsError,
    read_settings_file,
)


def read(tmp_path: Path, text: str) -> tuple[dict[str, ImageMapping], Limits, Choices]:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return read_settings_file(path)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ({}, Limits(), Choices())


def test_every_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "servers").mkdir()

    images, limits, choices = read(
        tmp_path,
        """
        [images."my-team/server"]
        command = ["{python}", "-m", "server"]
        cwd = "servers"
        [images."my-team/script:2"]
        stack = "xgboost"
        [limits]
        invocation_timeout_s = 5
        queue_length = 3
        [choices]
        realtime_payload = "6MB"
        """,
    )

    assert images == {
        "my-team/server": ImageMapping(
            command=("{python}", "-m", "server"), cwd=str(tmp_path / "servers")
        ),
        "my-team/script:2": ImageMapping(stack="xgboost"),
    }
    assert (limits.invocation_timeout_s, limits.queue_length) == (5.0, 3)
    settings = RuntimeSettings(images=images, limits=limits, choices=choices)
    assert settings.realtime_payload_bytes == 6 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[limit]", "keys must be among images, limits, choices, got 'limit'"),
        ("limits = 3", "limits must be a table, got 3"),
        ("[limits]\ntimeout = 1", "got 'timeout'"),
        ("[limits]\nqueue_length = 0", "limits.queue_length must be more than 0, got 0"),
        ("[limits]\nqueue_length = 1.5", "limits.queue_length must be an integer, got 1.5"),
        ("[limits]\nstop_grace_s = true", "limits.stop_grace_s must be a number, got True"),
        ("[choices]\nrealtime_payload = '7MB'", "must be one of ('25MB', '6MB'), got '7MB'"),
        ("[images.a]", "must have either stack or command, got []"),
        ("[images.a]\nstack = 'tensorflow'", "got 'tensorflow'"),
        ("[images.a]\ncommand = 'serve'", "must be a list of strings, got 'serve'"),
        ("[images.a]\ncommand = ['x']\ncwd = 'gone'", "must be an existing folder, got 'gone'"),
        ("[images.a]\nstack = 'pytorch'\nport = 1", "got 'port'"),
        ("not toml", "not TOML"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_says_what_can(
    tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, text)

    assert complaint in str(raised.value)
    assert str(tmp_path / "settings.toml") in str(raised.value)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_settings_file(tmp_path / "gone.toml")


def test_settings_travel_to_another_process_unchanged() -> None:
    settings = RuntimeSettings(
        port=1,
        images={"a": ImageMapping(command=("x", "y"), cwd="/"), "b": ImageMapping(stack="pytorch")},
        limits=Limits(invocation_timeout_s=1.5),
        choices=Choices(realtime_payload="6MB"),
    )

    assert RuntimeSettings.from_document(json.loads(json.dumps(settings.to_document()))) == settings
