"""The scikit-learn container: sagemaker_containers behind Flask (facts A 1 to 7)."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from tests.unit.handler_host.conftest import Host, Hosts, Serve

# answers what input_fn was given
SEEN = """
    import json
    def model_fn(model_dir): return None
    def input_fn(body, content_type):
        text = body if isinstance(body, str) else body.decode("latin-1")
        return [type(body).__name__, text, content_type]
    def predict_fn(data, model): return data
    def output_fn(data, accept): return json.dumps(data + [accept]), "application/json"
"""
# answers whatever Python expression is in the body, evaluated in output_fn
ANSWERS = """
    def model_fn(model_dir): return None
    def input_fn(body, content_type): return body
    def predict_fn(data, model): return data
    def output_fn(data, accept):
        import numpy as np
        from sagemaker_containers.beta.framework import worker
        return eval(data)
"""
# a model whose predict gives back its input
DEFAULTS = """
    class Identity:
        def predict(self, data):
            if data.ndim != 2:
                raise ValueError(f"Expected 2D array, got {data.ndim}D array instead")
            return data
    def model_fn(model_dir): return Identity()
"""


@pytest.fixture(scope="module")
def seen(shared_hosts: Hosts) -> Host:
    return shared_hosts.serve("scikit-learn", SEEN)


@pytest.fixture(scope="module")
def answers(shared_hosts: Hosts) -> Host:
    return shared_hosts.serve("scikit-learn", ANSWERS)


@pytest.fixture(scope="module")
def defaults(shared_hosts: Hosts) -> Host:
    return shared_hosts.serve("scikit-learn", DEFAULTS)


def npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


@pytest.mark.parametrize("accept", [None, "*/*", ""])
def test_without_a_preference_the_answer_is_asked_for_as_json(
    seen: Host, accept: str | None
) -> None:
    assert json.loads(seen.invoke("x", accept=accept).text)[3] == "application/json"


@pytest.mark.parametrize("accept", [None, "*/*"])
def test_the_default_accept_can_be_set(hosts: Hosts, accept: str | None) -> None:
    env = {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"}
    host = hosts.serve("scikit-learn", SEEN, env=env)

    assert json.loads(host.invoke("x", accept=accept).text)[3] == "text/csv"


def test_an_accept_of_the_client_is_passed_as_it_is(seen: Host) -> None:
    accept = "text/csv;q=0.5, application/json"

    assert json.loads(seen.invoke("x", accept=accept).text)[3] == accept


def test_a_request_without_content_type_is_json(seen: Host) -> None:
    assert json.loads(seen.invoke("x", content_type=None).text)[2] == "application/json"


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", "str"),
        ("text/csv", "str"),
        ("application/json; charset=utf-8", "bytes"),
        ("text/csv; charset=utf-8", "bytes"),
        ("text/plain", "bytes"),
        ("application/octet-stream", "bytes"),
        ("application/x-npy", "bytes"),
        ("image/png", "bytes"),
    ],
)
def test_the_body_is_text_for_exactly_two_content_types(
    seen: Host, content_type: str | None, kind: str
) -> None:
    given = json.loads(seen.invoke("1,2", content_type).text)

    assert given[:3] == [kind, "1,2", content_type]


@pytest.mark.parametrize(
    ("expression", "body", "content_type"),
    [
        ("'text'", b"text", "text/html; charset=utf-8"),
        ("b'bytes'", b"bytes", "text/html; charset=utf-8"),
        ("{'b': 1, 'a': [2]}", b'{"a":[2],"b":1}\n', "application/json"),
        ("('1,2', 'text/csv')", b"1,2", "text/csv; charset=utf-8"),
        ("('1', 'application/json')", b"1", "application/json"),
        ("('x', 'text/csv; charset=utf-8')", b"x", "text/csv; charset=utf-8; charset=utf-8"),
        ("(b'<a/>', 'application/xml')", b"<a/>", "application/xml; charset=utf-8"),
        ("(b'x', 'application/x-npy')", b"x", "application/x-npy"),
        ("('x', None)", b"x", "application/json"),
        ("(iter(['a', b'b']), 'text/plain')", b"ab", "text/plain; charset=utf-8"),
        ("worker.Response('x')", b"x", "application/json"),
        ("worker.Response('x', mimetype='text/csv')", b"x", "text/csv; charset=utf-8"),
        ("worker.Response('x', 'application/json', mimetype='a/b')", b"x", "a/b"),
    ],
)
def test_results_are_answered_as_flask_does(
    answers: Host, expression: str, body: Any, content_type: str | None
) -> None:
    reply = answers.invoke(expression)

    assert (reply.status, reply.body, reply.content_type) == (200, body, content_type)


@pytest.mark.parametrize("expression", ["None", "[1, 2]", "1.5", "np.array([1])", "object()"])
def test_results_that_flask_cannot_answer_are_500(answers: Host, expression: str) -> None:
    reply = answers.invoke(expression)

    assert reply.status == 500
    assert "did not return a valid response" in reply.text


def test_a_response_decides_status_and_headers(answers: Host) -> None:
    reply = answers.invoke(
        "worker.Response('bad column', status=422, headers={'X-Amzn-SageMaker-Custom-Attributes':"
        " 'c=1'}, mimetype='text/plain')"
    )

    assert (reply.status, reply.text) == (422, "bad column")
    assert reply.headers["x-amzn-sagemaker-custom-attributes"] == "c=1"


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none(answers: Host, status: int) -> None:
    connection = answers.connection()
    connection.request("POST", "/invocations", f"worker.Response('', status={status})")
    reply = connection.getresponse()

    assert reply.status == status
    assert reply.getheader("Content-Length") is None


def test_line_breaks_in_a_header_do_not_end_it(answers: Host) -> None:
    reply = answers.invoke("('x', 'text/csv\\r\\nX-Injected: 1')")

    assert "x-injected" not in reply.headers


def test_a_response_of_flask_is_answered_too(hosts: Hosts) -> None:
    pytest.importorskip("flask")
    host = hosts.serve(
        "scikit-learn",
        """
        import flask
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            return flask.Response(iter(["a", "b"]), status=415, headers={"X-Reason": "format"})
        """,
    )
    reply = host.invoke()

    assert (reply.status, reply.body, reply.headers["x-reason"]) == (415, b"ab", "format")


def test_a_response_may_travel_from_input_fn_to_the_client(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        from sagemaker_containers.beta.framework import worker
        def model_fn(model_dir): return None
        def input_fn(body, content_type):
            return worker.Response(response="no " + content_type, status=415)
        def predict_fn(data, model): return data
        def output_fn(prediction, accept): return prediction
        """,
    )
    reply = host.invoke("x", "text/plain")

    assert (reply.status, reply.text) == (415, "no text/plain")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"[[1, 2], [3, 4]]"),
        ("text/csv", b"1,2\n3,4"),
        ("application/x-npy", npy([[1.0, 2.0], [3.0, 4.0]])),
    ],
)
def test_default_decoders_read_rows(defaults: Host, content_type: str | None, body: Any) -> None:
    assert json.loads(defaults.invoke(body, content_type).text) == [[1.0, 2.0], [3.0, 4.0]]


def test_text_becomes_float32(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        def model_fn(model_dir): return None
        def predict_fn(data, model): return [str(data.dtype)]
        """,
    )

    assert json.loads(host.invoke("[1, 2]").text) == ["float32"]
    assert json.loads(host.invoke(npy([1.5]), "application/x-npy").text) == ["float64"]


def test_one_csv_row_is_squeezed_and_refused_by_the_model(defaults: Host) -> None:
    reply = defaults.invoke("1,2", "text/csv")

    assert reply.status == 500
    assert "Expected 2D array, got 1D array instead" in reply.text


@pytest.mark.parametrize(
    ("accept", "body", "content_type"),
    [
        ("application/json", b"[[1.0, 2.5]]", "application/json"),
        ("text/csv", b"1.0,2.5\n", "text/csv; charset=utf-8"),
    ],
)
def test_default_encoders_write_text(
    defaults: Host, accept: str | None, body: Any, content_type: str | None
) -> None:
    reply = defaults.invoke("[[1, 2.5]]", accept=accept)

    assert (reply.body, reply.content_type) == (body, content_type)


def test_default_encoders_write_npy(defaults: Host) -> None:
    reply = defaults.invoke("[[1, 2.5]]", accept="application/x-npy")

    assert reply.content_type == "application/x-npy"
    assert np.load(io.BytesIO(reply.body)).tolist() == [[1.0, 2.5]]


@pytest.mark.parametrize(
    ("array", "written"),
    [
        ("np.array(['a', 'b'])", b'["a", "b"]'),
        ("np.float64(0.25)", b"0.25"),
        ("np.array(3)", b"3"),
        ("{'score': np.array([1.5])}", b'{"score": [1.5]}'),
    ],
)
def test_default_encoders_write_strings_scalars_and_nested_arrays(
    serve: Serve, array: str, written: bytes
) -> None:
    host = serve(
        "scikit-learn",
        f"""
        import numpy as np
        def model_fn(model_dir): return None
        def predict_fn(data, model): return {array}
        """,
    )

    assert host.invoke("[1]").body == written


@pytest.mark.parametrize(
    "request_headers",
    [
        {"content_type": "text/plain"},
        {"content_type": "text/csv; charset=utf-8"},
        {"content_type": "application/json", "accept": "text/plain"},
        {"content_type": "application/json", "accept": "text/csv;q=0.9, application/json"},
    ],
)
def test_what_the_default_functions_cannot_read_or_write_is_500(
    defaults: Host, request_headers: Any
) -> None:
    reply = defaults.invoke("[[1]]", **request_headers)

    assert reply.status == 500
    assert "is not supported by this framework" in reply.text


def test_an_error_is_flasks_page_with_the_traceback_in_a_comment(answers: Host) -> None:
    reply = answers.invoke("{}['tumour --> radius']")

    assert (reply.status, reply.content_type) == (500, "text/html; charset=utf-8")
    assert reply.text.startswith("<!DOCTYPE HTML")
    assert "<title>500 Internal Server Error</title>" in reply.text
    assert "KeyError: 'tumour -- > radius'" in reply.text


def test_an_error_is_logged_with_its_traceback(answers: Host) -> None:
    answers.invoke("{}['logged key']")

    assert "in output_fn" in answers.log
    assert "KeyError: 'logged key'" in answers.log


def test_an_error_of_the_toolkit_does_not_decide_the_status_here(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        from sagemaker_inference.errors import GenericInferenceToolkitError
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            raise GenericInferenceToolkitError(400, "bad row")
        """,
    )

    assert host.invoke().status == 500


def test_bytes_that_are_not_utf_8_are_replaced(seen: Host) -> None:
    assert json.loads(seen.invoke(b"a\xffb", "text/csv").text)[1] == "a\ufffdb"


def test_a_context_argument_is_not_passed(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept, context): return "x"
        """,
    )

    assert "missing 1 required positional argument: 'context'" in host.invoke().text


def test_execution_parameters_are_the_handlers_to_give(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept): return "x"
        def execution_parameters_fn(): return {"MaxPayloadInMB": 3}
        """,
    )
    reply = host.request("GET", "/execution-parameters")

    assert (reply.status, reply.text) == (200, '{"MaxPayloadInMB":3}\n')


def test_execution_parameters_that_raise_are_500(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        def model_fn(model_dir): return None
        def execution_parameters_fn(): raise ValueError("no idea")
        """,
    )

    assert host.request("GET", "/execution-parameters").status == 500


def test_without_execution_parameters_the_path_is_404(defaults: Host) -> None:
    reply = defaults.request("GET", "/execution-parameters")

    assert (reply.status, reply.content_type) == (404, "text/html; charset=utf-8")


def test_a_real_estimator_predicts_through_the_defaults(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        from sklearn.linear_model import LinearRegression
        def model_fn(model_dir): return LinearRegression().fit([[0], [1]], [1, 3])
        """,
    )

    assert np.allclose(json.loads(host.invoke("[[2], [3]]").text), [5, 7])
