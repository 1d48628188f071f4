from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarking.payloads import (
    Payload,
    PayloadError,
    convert,
    oversize,
    read_payloads,
    write_payloads,
)


def read(folder: Path, *lines: str) -> tuple[Payload, ...]:
    path = folder / "payloads.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    return read_payloads(path)


def test_bodies_are_text_json_base64_or_files_beside_the_list(tmp_path: Path) -> None:
    (tmp_path / "digit.png").write_bytes(b"\x89PNG")

    payloads = read(
        tmp_path,
        '{"body": "1,2", "content_type": "text/csv", "accept": "application/json"}',
        '{"body": {"instances": [[1, 2]]}}',
        '{"body_base64": "iVBORw=="}',
        '{"body": "@digit.png", "content_type": "image/png"}',
        '{"body_file": "digit.png", "target_model": "a.tar.gz"}',
        '{"body": "@@handle"}',
    )

    assert [each.body for each in payloads] == [
        b"1,2", b'{"instances":[[1,2]]}', b"\x89PNG", b"\x89PNG", b"\x89PNG", b"@handle",
    ]  # fmt: skip
    assert [each.content_type for each in payloads[:2]] == ["text/csv", "application/json"]
    assert payloads[0].accept == "application/json"
    assert payloads[4].target_model == "a.tar.gz"


def test_the_old_toolkits_lines_are_read_and_their_bodies_are_always_text(tmp_path: Path) -> None:
    (payload,) = read(tmp_path, '{"Body": "@1", "ContentType": "text/csv", "TargetModel": "m"}')

    assert payload == Payload(body=b"@1", content_type="text/csv", target_model="m")


def test_all_broken_lines_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(PayloadError) as raised:
        read(
            tmp_path,
            '{"body": "fine"}',
            "",
            "not json",
            "[1]",
            '{"content_type": "text/csv"}',
            '{"body": "a", "body_base64": "Yg=="}',
            '{"body": "a", "endpoint": "b"}',
            '{"body": "a", "content_type": "\\n"}',
        )

    message = str(raised.value)
    assert "line 1: " not in message
    for number, fault in {
        2: "empty",
        3: "not JSON",
        4: "must be an object, got list",
        5: "exactly one of body, body_base64, body_file must be there, got none",
        6: "got body, body_base64",
        7: "got endpoint",
        8: "content_type must be printable text",
    }.items():
        assert any(
            line.strip().startswith(f"line {number}: ") and fault in line
            for line in message.splitlines()
        ), (number, message)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PayloadError, match="at least one line, got an empty file"):
        read(tmp_path)


def test_a_payload_beyond_the_limit_of_an_option_is_named_by_its_line() -> None:
    small = Payload(body=b"1", content_type="text/csv")
    large = Payload(body=bytes(4 * 1024 * 1024 + 1), content_type="text/csv")

    assert oversize([small], "serverless") is None
    assert oversize([small, large], "real-time") is None
    reason = oversize([small, large], "serverless")
    assert reason is not None
    assert "4194304 bytes at most, the payload of line 2 has 4194305" in reason


def test_a_json_array_of_arguments_becomes_a_list(tmp_path: Path) -> None:
    source, target = tmp_path / "arguments.json", tmp_path / "payloads.jsonl"
    source.write_text(json.dumps([{"Body": "1", "Accept": "text/csv"}, {"Body": "2"}]))

    assert convert(source, target) == 2
    assert [each.body for each in read_payloads(target)] == [b"1", b"2"]


@given(st.lists(st.binary() | st.text().filter(lambda text: text.isprintable()), min_size=1))
def test_whatever_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes | str]
) -> None:
    path = tmp_path_factory.mktemp("written") / "payloads.jsonl"
    write_payloads(path, [{"Body": body, "ContentType": "text/plain"} for body in bodies])

    assert [each.body for each in read_payloads(path)] == [
        body.encode() if isinstance(body, str) else body for body in bodies
    ]


def test_what_cannot_be_written_is_named_by_its_position(tmp_path: Path) -> None:
    with pytest.raises(PayloadError, match="element 2: arguments must be among"):
        write_payloads(tmp_path / "p", [{"Body": b"1"}, {"Body": b"1", "EndpointName": "e"}])
