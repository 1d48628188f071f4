"""The XGBoost container, with a script and without one."""

from __future__ import annotations

import json
import pickle
import struct
from typing import Any

import numpy as np
import pytest

from tests.unit.handler_host.conftest import Host, Hosts, Serve

xgboost = pytest.importorskip("xgboost")

ROWS = np.array([[float(a), float(b)] for a in range(6) for b in range(6)])


@pytest.fixture(scope="module")
def booster() -> Any:
    return xgboost.train({"max_depth": 2, "nthread": 1}, xgboost.DMatrix(ROWS, label=ROWS[:, 0]), 5)


@pytest.fixture(scope="module")
def artifact(booster: Any) -> bytes:
    return bytes(booster.save_raw("json"))


@pytest.fixture(scope="module")
def algorithm(shared_hosts: Hosts, artifact: bytes) -> Host:
    return shared_hosts.serve("xgboost", files={"xgboost-model.json": artifact})


@pytest.fixture(scope="module")
def script(shared_hosts: Hosts, artifact: bytes) -> Host:
    return shared_hosts.serve(
        "xgboost",
        """
        import os, xgboost
        def model_fn(model_dir):
            booster = xgboost.Booster()
            booster.load_model(os.path.join(model_dir, "model.json"))
            return booster
        """,
        files={"model.json": artifact},
    )


def predicted(booster: Any, rows: list[list[float]]) -> list[float]:
    predictions: list[float] = booster.predict(xgboost.DMatrix(np.array(rows))).tolist()
    return predictions


def lines(text: str) -> list[float]:
    return [float(line) for line in text.splitlines()]


# algorithm mode


def test_csv_rows_are_answered_a_line_each(algorithm: Host, booster: Any) -> None:
    reply = algorithm.invoke("1,2\n4,5", "text/csv")

    assert (reply.status, reply.content_type) == (200, "text/csv; charset=utf-8")
    assert reply.text.endswith("\n")
    assert np.allclose(lines(reply.text), predicted(booster, [[1, 2], [4, 5]]))


@pytest.mark.parametrize("content_type", ["text/libsvm", "text/x-libsvm", "libsvm", None])
@pytest.mark.parametrize("body", ["0:4 1:5", "7 0:4 1:5", "0:4 1:5\n"])
def test_libsvm_is_read_with_and_without_labels(
    algorithm: Host, booster: Any, content_type: str | None, body: Any
) -> None:
    reply = algorithm.invoke(body, content_type)

    assert np.allclose(lines(reply.text), predicted(booster, [[4, 5]]))


@pytest.mark.parametrize("content_type", ["text/csv; charset=utf-8", "TEXT/CSV", "csv"])
def test_content_types_may_have_parameters_and_capitals(
    algorithm: Host, content_type: str | None
) -> None:
    assert algorithm.invoke("1,2", content_type).status == 200


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_guessed_from_the_first_line(
    algorithm: Host, booster: Any, delimiter: str
) -> None:
    reply = algorithm.invoke(f"4.5{delimiter}5.5", "text/csv")

    assert np.allclose(lines(reply.text), predicted(booster, [[4.5, 5.5]]))


def test_an_empty_field_is_a_missing_value(algorithm: Host, booster: Any) -> None:
    reply = algorithm.invoke(",5", "text/csv")

    assert np.allclose(lines(reply.text), predicted(booster, [[np.nan, 5]]))


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def message(*fields: tuple[int, bytes]) -> bytes:
    return b"".join(varint(number << 3 | 2) + varint(len(body)) + body for number, body in fields)


def record(values: list[float], keys: list[int] | None = None) -> bytes:
    """One RecordIO frame of a float32 tensor, sparse when it has keys."""
    tensor = [(1, struct.pack(f"<{len(values)}f", *values))]
    if keys is not None:
        tensor += [(2, b"".join(map(varint, keys))), (3, varint(2))]
    value = message((2, message(*tensor)))
    body = message((1, message((1, b"values"), (2, value))))
    return struct.pack("<II", 0xCED7230A, len(body)) + body + b"\0" * (-len(body) % 4)


@pytest.mark.parametrize(
    ("frames", "rows"),
    [
        (record([4, 5]) + record([1, 2]), [[4, 5], [1, 2]]),
        (record([5], [1]) + record([4], [0]), [[np.nan, 5], [4, np.nan]]),
    ],
)
def test_recordio_protobuf_is_read(
    algorithm: Host, booster: Any, frames: bytes, rows: list[list[float]]
) -> None:
    reply = algorithm.invoke(frames, "application/x-recordio-protobuf")

    assert np.allclose(lines(reply.text), predicted(booster, rows))


def test_an_empty_body_is_204(algorithm: Host) -> None:
    assert algorithm.invoke(b"", "text/csv").status == 204


@pytest.mark.parametrize(
    ("body", "content_type", "complaint"),
    [
        ("[[1, 2]]", "application/json", "application/json is not an accepted ContentType: csv,"),
        ("1,2", "text/csv; label_size=2", "Optional parameter label_size must be equal to 1"),
        ("x", "application/x-parquet", "Content-type application/x-parquet is not supported."),
        ("a,b", "text/csv", "Loading csv data failed with Exception"),
        ("1,2\n3", "text/csv", "Loading csv data failed with Exception"),
        ("0:x", "text/libsvm", "Loading libsvm data failed with Exception"),
        (b"\xff", "text/csv", "Loading csv data failed with Exception"),
        ("x" * 20, "application/x-recordio-protobuf", "a RecordIO frame must start with"),
        (
            record([1, 2])[:-4],
            "application/x-recordio-protobuf",
            "the RecordIO data ends inside a frame",
        ),
    ],
)
def test_what_cannot_be_read_is_415(
    algorithm: Host, body: Any, content_type: str | None, complaint: str
) -> None:
    reply = algorithm.invoke(body, content_type)

    assert (reply.status, reply.content_type) == (415, "text/html; charset=utf-8")
    assert complaint in reply.text


def test_rows_the_booster_refuses_are_400(algorithm: Host) -> None:
    reply = algorithm.invoke("1,2,3", "text/csv")

    assert reply.status == 400
    assert reply.text.startswith("Unable to evaluate payload provided: ")


def test_an_accept_it_cannot_write_is_406(algorithm: Host) -> None:
    reply = algorithm.invoke("1,2", "text/csv", accept="text/html")

    assert reply.status == 406
    assert reply.text.startswith("Accept type text/html is not supported.")


def test_json_is_a_list(algorithm: Host, booster: Any) -> None:
    reply = algorithm.invoke("1,2\n4,5", "text/csv", accept="application/json; verbose=true")

    assert reply.content_type == "application/json"
    assert np.allclose(json.loads(reply.text), predicted(booster, [[1, 2], [4, 5]]))


def test_the_default_accept_can_be_set(hosts: Hosts, artifact: bytes) -> None:
    host = hosts.serve(
        "xgboost",
        files={"model.json": artifact},
        env={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "application/json"},
    )

    assert host.invoke("1,2", "text/csv", accept="*/*").content_type == "application/json"


def test_execution_parameters_are_those_of_a_batch_job(hosts: Hosts, artifact: bytes) -> None:
    host = hosts.serve(
        "xgboost", files={"model.json": artifact}, env={"SAGEMAKER_MODEL_SERVER_WORKERS": "3"}
    )
    reply = host.request("GET", "/execution-parameters")

    assert json.loads(reply.text) == {
        "MaxConcurrentTransforms": 3,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }


def test_a_pickled_booster_checks_the_number_of_features(hosts: Hosts, booster: Any) -> None:
    host = hosts.serve("xgboost", files={"xgboost-model": pickle.dumps(booster)})
    reply = host.invoke("1,2,3", "text/csv")

    assert reply.status == 400
    assert "Feature size of csv inference data 3 is not consistent" in reply.text
    assert host.invoke("1,2", "text/csv").status == 200


def test_several_boosters_are_averaged(hosts: Hosts, booster: Any, artifact: bytes) -> None:
    other = xgboost.train({"nthread": 1}, xgboost.DMatrix(ROWS, label=ROWS[:, 1]), 5)
    host = hosts.serve(
        "xgboost", files={"a.json": artifact, "b.json": bytes(other.save_raw("json"))}
    )
    expected = np.mean([predicted(booster, [[1, 5]]), predicted(other, [[1, 5]])])

    assert np.allclose(lines(host.invoke("1,5", "text/csv").text), expected)


def test_a_file_that_is_no_booster_is_refused(refused: Serve) -> None:
    host = refused("xgboost", files={"xgboost-model.json": b"not a model"})

    assert "cannot be loaded" in host.log
    assert "Stack trace" not in host.log


def test_an_artifact_with_neither_script_nor_booster_is_refused(refused: Serve) -> None:
    host = refused("xgboost", files={".hidden": b"x"})

    assert "there is neither an entry point (code/inference.py, or SAGEMAKER_PROGRAM)" in host.log


# script mode


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", "4,5"),
        ("text/csv; charset=utf-8", "4,5"),
        ("text/libsvm", "0:4 1:5"),
        ("application/x-recordio-protobuf", record([4, 5])),
    ],
)
def test_a_script_may_leave_reading_and_predicting_to_the_defaults(
    script: Host, booster: Any, content_type: str | None, body: Any
) -> None:
    reply = script.invoke(body, content_type)

    assert reply.content_type == "application/json"
    assert np.allclose(json.loads(reply.text), predicted(booster, [[4, 5]]))


def test_a_script_answers_csv_a_line_each(script: Host, booster: Any) -> None:
    reply = script.invoke("1,2\n4,5", "text/csv", accept="text/csv")

    assert np.allclose(lines(reply.text), predicted(booster, [[1, 2], [4, 5]]))


def test_json_needs_an_input_fn(script: Host) -> None:
    reply = script.invoke("[[4, 5]]")

    assert reply.status == 500
    assert "Content type application/json is not supported" in reply.text


def test_a_script_may_decode_with_the_containers_encoder(
    serve: Serve, booster: Any, artifact: bytes
) -> None:
    host = serve(
        "xgboost",
        """
        import os, xgboost
        from sagemaker_containers.beta.framework import content_types, encoders, worker
        from sagemaker_xgboost_container import encoder as xgb_encoders
        def model_fn(model_dir):
            booster = xgboost.Booster()
            booster.load_model(os.path.join(model_dir, "model.json"))
            return booster
        def input_fn(body, content_type):
            return xgb_encoders.libsvm_to_dmatrix(body)
        def output_fn(prediction, accept):
            return worker.Response(encoders.encode(prediction, content_types.JSON), mimetype=accept)
        """,
        files={"model.json": artifact},
    )

    reply = host.invoke("0:4 1:5", "text/libsvm")

    assert np.allclose(json.loads(reply.text), predicted(booster, [[4, 5]]))
