"""Containers built on sagemaker_inference: plain ones, and PyTorch (facts A 8 to 11)."""

from __future__ import annotations

import io
import json
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from tests.unit.handler_host.conftest import Host, Hosts, Serve

BOTH = ["inference", "pytorch"]

SEEN = """
    import json
    def model_fn(model_dir): return None
    def input_fn(body, content_type):
        text = body if isinstance(body, str) else body.decode("latin-1")
        return [type(body).__name__, text, content_type]
    def predict_fn(data, model): return data
    def output_fn(data, accept): return json.dumps(data + [accept])
"""
ANSWERS = """
    def model_fn(model_dir): return None
    def input_fn(body, content_type): return body
    def predict_fn(data, model): return data
    def output_fn(data, accept, context):
        import numpy as np
        return eval(data)
"""
DECODED = """
    def model_fn(model_dir): return None
    def predict_fn(data, model): return data
"""


@pytest.fixture(scope="module", params=BOTH)
def seen(shared_hosts: Hosts, request: pytest.FixtureRequest) -> Host:
    return shared_hosts.serve(request.param, SEEN)


@pytest.fixture(scope="module", params=BOTH)
def answers(shared_hosts: Hosts, request: pytest.FixtureRequest) -> Host:
    return shared_hosts.serve(request.param, ANSWERS)


@pytest.fixture(scope="module")
def decoded(shared_hosts: Hosts) -> Host:
    return shared_hosts.serve("inference", DECODED)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        ("application/json", "str"),
        ("text/csv", "str"),
        ("text/csv; charset=utf-8", "bytes"),
        ("application/x-npy", "bytes"),
        ("application/octet-stream", "bytes"),
    ],
)
def test_the_body_is_text_for_exactly_two_content_types(
    seen: Host, content_type: str | None, kind: str
) -> None:
    given = json.loads(seen.invoke("1,2", content_type).text)

    assert given == [kind, "1,2", content_type, "application/json"]


def test_a_request_without_content_type_has_none(seen: Host) -> None:
    assert json.loads(seen.invoke("x", content_type=None).text)[2] is None


@pytest.mark.parametrize("stack", BOTH)
def test_the_default_accept_can_be_set(serve: Serve, stack: str) -> None:
    host = serve(stack, SEEN, env={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"})
    reply = host.invoke("x", accept="*/*")

    assert json.loads(reply.text)[3] == "text/csv"
    assert reply.content_type == "text/csv"


@pytest.mark.parametrize(
    ("expression", "body"),
    [
        ("'text'", b"text"),
        ("b'bytes'", b"bytes"),
        ("bytearray(b'bytes')", b"bytes"),
        ("{'a': [1]}", b'{\n  "a": [\n    1\n  ]\n}'),
        ("[1, 2]", b"[\n  1,\n  2\n]"),
        ("None", b"null"),
        ("1.5", b"1.5"),
    ],
)
def test_values_are_answered_with_the_type_the_client_accepts(
    answers: Host, expression: str, body: Any
) -> None:
    reply = answers.invoke(expression, accept="text/csv")

    assert (reply.status, reply.body, reply.content_type) == (200, body, "text/csv")


def test_a_tuple_names_another_content_type(answers: Host) -> None:
    reply = answers.invoke("(b'x', 'application/x-custom')")

    assert (reply.body, reply.content_type) == (b"x", "application/x-custom")


@pytest.mark.parametrize("expression", ["np.float32(1)", "np.array([1])", "object()", "{1, 2}"])
def test_values_that_are_not_json_are_503(answers: Host, expression: str) -> None:
    reply = answers.invoke(expression)

    assert reply.status == 503
    assert json.loads(reply.text) == {
        "code": 503,
        "type": "InternalServerException",
        "message": "Unsupported model output data type.",
    }


# the context


def test_the_context_has_the_system_properties(serve: Serve) -> None:
    host = serve(
        "pytorch",
        """
        def model_fn(model_dir, context):
            return dict(context.system_properties)
        def transform_fn(model, body, content_type, accept): return model
        """,
    )
    properties = json.loads(host.invoke().text)

    assert properties["model_dir"] == str(host.model_dir)
    assert properties["gpu_id"] is None
    assert properties["batch_size"] == 1


def test_functions_of_one_script_may_differ_in_whether_they_take_the_context(serve: Serve) -> None:
    host = serve(
        "inference",
        """
        def model_fn(d): return None
        def input_fn(body, content_type, ctx): return [ctx.get_request_header(0, "X-Step")]
        def predict_fn(data, model): return data
        def output_fn(p, a, _): return p + [_.get_all_request_header(0)["X-Step"]]
        """,
    )

    assert json.loads(host.invoke(X_Step="two").text) == ["two", "two"]


def test_the_context_finds_a_header_in_any_spelling(answers: Host) -> None:
    reply = answers.invoke("[context.get_request_header(0, 'x-amzn-sagemaker-custom-attributes')]",
                           X_Amzn_SageMaker_Custom_Attributes="c=1")  # fmt: skip

    assert json.loads(reply.text) == ["c=1"]


def test_the_context_sets_headers_of_the_answer(answers: Host) -> None:
    reply = answers.invoke(
        "context.set_response_header(0, 'X-Amzn-SageMaker-Custom-Attributes', 'trace=7') or 'x'"
    )

    assert reply.headers["x-amzn-sagemaker-custom-attributes"] == "trace=7"


def test_the_context_sets_the_status_of_the_answer(answers: Host) -> None:
    assert answers.invoke("context.set_response_status(418, 'teapot') or 'x'").status == 418


def test_status_and_headers_do_not_leak_into_the_next_request(answers: Host) -> None:
    answers.invoke("[context.set_response_status(418), context.set_response_header(0, 'X-A', '1')]")
    reply = answers.invoke("'x'")

    assert (reply.status, "x-a" in reply.headers) == (200, False)


def test_the_content_type_set_by_the_handler_gives_way_to_the_accept(answers: Host) -> None:
    reply = answers.invoke("context.set_response_content_type(0, 'image/png') or 'x'")

    assert reply.content_type == "application/json"


def test_each_request_has_an_identifier(answers: Host) -> None:
    first, second = (answers.invoke("context.get_request_id(0)").text for _ in range(2))

    assert first
    assert first != second


def test_metrics_can_be_reported(answers: Host) -> None:
    assert answers.invoke("context.metrics.add_time('Inference', 1.5) or 'x'").text == "x"


def test_changing_the_headers_given_to_one_request_does_not_change_the_next(answers: Host) -> None:
    count_and_clear = "(lambda headers: [len(headers), headers.clear()])"
    expression = f"{count_and_clear}(context.get_all_request_header(0))[:1]"

    assert answers.invoke(expression).text == answers.invoke(expression).text


@pytest.mark.parametrize(
    "definition",
    [
        "def predict_fn(data, model, context, extra): return 1",
        "def predict_fn(data): return 1",
        "def predict_fn(*everything): return 1",
    ],
)
def test_any_other_number_of_arguments_is_an_error_of_the_request(
    serve: Serve, definition: str
) -> None:
    host = serve("inference", f"def model_fn(d): return None\n{definition}\n")
    reply = host.invoke("[1]")

    assert reply.status == 500
    assert "predict_fn takes" in reply.text
    assert "arguments but 2 were given" in reply.text


@pytest.mark.parametrize(
    "definition",
    [
        "def input_fn(body, content_type='application/json'): return body",
        "def input_fn(body, content_type='application/json', context=None): return body",
        "input_fn = lambda body, content_type: body",
        "import functools\ninput_fn = functools.partial(lambda x, b, c: b, 1)",
        """
class Reader:
    def __call__(self, body, content_type): return body
input_fn = Reader()
""",
        """
class Reader:
    def read(self, body, content_type, context): return body
input_fn = Reader().read
""",
        """
import functools
def logged(function):
    @functools.wraps(function)
    def wrapper(*arguments): return function(*arguments)
    return wrapper
@logged
def input_fn(body, content_type): return body
""",
        "async def input_fn(body, content_type): return body",
    ],
)
@pytest.mark.parametrize("stack", ["inference", "huggingface"])
def test_any_callable_can_be_a_handler_function(serve: Serve, stack: str, definition: str) -> None:
    host = serve(
        stack,
        f"def model_fn(d): return None\n{definition}\n"
        "def predict_fn(data, model): return data\ndef output_fn(p, a): return p\n",
    )

    assert host.invoke("hello").text == "hello"


# errors


def test_an_error_is_500_with_message_and_traceback(answers: Host) -> None:
    reply = answers.invoke("{}['radius']")

    assert reply.status == 500
    assert reply.text.startswith("'radius'\nTraceback (most recent call last):")
    assert "in output_fn" in reply.text


@pytest.mark.parametrize("raised", ["AssertionError()", "ValueError('')"])
def test_an_error_without_text_reads_invalid_request(serve: Serve, raised: str) -> None:
    host = serve(
        "inference",
        f"def model_fn(d): return None\ndef transform_fn(m, b, c, a): raise {raised}\n",
    )

    assert host.invoke().text.startswith("Invalid Request\n")


def test_an_error_of_the_toolkit_decides_the_status(serve: Serve) -> None:
    host = serve(
        "pytorch",
        """
        from sagemaker_inference.errors import BaseInferenceToolkitError
        class Overloaded(BaseInferenceToolkitError):
            def __init__(self): super().__init__(429, "slow down", "busy")
        def model_fn(d): return None
        def transform_fn(m, b, c, a): raise Overloaded()
        """,
    )
    reply = host.invoke()

    assert reply.status == 429
    assert reply.text.startswith("slow down\nTraceback")


def test_text_that_is_not_utf_8_is_an_error(answers: Host) -> None:
    reply = answers.invoke(b"\xff\xfe", "text/csv")

    assert reply.status == 500
    assert "can't decode byte" in reply.text


# default functions


def npy(array: object) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b"[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ("text/csv", b"1,2\n3,4", [[1, 2], [3, 4]]),
        ("text/csv", b"1,2", [1, 2]),
        ("application/x-npy", npy([[1.5]]), [[1.5]]),
    ],
)
def test_default_decoders_give_arrays(
    decoded: Host, content_type: str | None, body: Any, expected: Any
) -> None:
    assert json.loads(decoded.invoke(body, content_type).text) == expected


def test_npz_becomes_a_sparse_matrix(serve: Serve) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    buffer = io.BytesIO()
    sparse.save_npz(buffer, sparse.csr_matrix([[0, 2], [0, 0]]))
    host = serve(
        "inference",
        "def model_fn(d): return None\n"
        "def predict_fn(data, model): return [data.nnz, list(data.shape)]\n",
    )

    assert json.loads(host.invoke(buffer.getvalue(), "application/x-npz").text) == [1, [2, 2]]


def test_the_first_accepted_type_with_an_encoder_is_used_and_named(decoded: Host) -> None:
    reply = decoded.invoke("[[1, 2]]", accept="text/html, text/csv, application/json")

    assert (reply.text, reply.content_type) == ("1,2\n", "text/csv")


@pytest.mark.parametrize(
    "request_headers",
    [{"content_type": "text/plain"}, {"accept": "text/html"}, {"content_type": None}],
)
def test_what_the_default_functions_cannot_read_or_write_is_500(
    decoded: Host, request_headers: Any
) -> None:
    reply = decoded.invoke("[[1]]", **request_headers)

    assert reply.status == 500
    assert "is not supported by this framework" in reply.text


def test_a_plain_container_has_no_default_predict_fn(serve: Serve) -> None:
    reply = serve("inference", "def model_fn(d): return None").invoke("[1]")

    assert reply.status == 500
    assert reply.text.startswith("Please provide a predict_fn implementation.")


# PyTorch's default functions, on the smallest stand-in for torch that shows what they call

TORCH = """
    import os
    class Tensor:
        def __init__(self, values, kind): self.values, self.kind = values, kind
        def to(self, device): return self
        def detach(self): return self
        def cpu(self): return self
        def numpy(self): return self.values
    def FloatTensor(values): return Tensor(values.astype("float32"), "FloatTensor")
    def from_numpy(values): return Tensor(values, str(values.dtype))
    def device(name): return name
    class cuda:
        is_available = staticmethod(lambda: False)
    class no_grad:
        def __enter__(self): pass
        def __exit__(self, *_): pass
    class Module:
        def __init__(self, path): self.path = path
        def to(self, device): return self
        def eval(self): pass
        def __call__(self, tensor):
            if tensor.kind == "FloatTensor": return Tensor(tensor.values * 2, "FloatTensor")
            return {"kind": tensor.kind, "file": os.path.basename(self.path)}
    class jit:
        load = staticmethod(lambda path, map_location: Module(path))
"""


@pytest.mark.parametrize("file", ["model.pt", "weights.pth"])
def test_pytorch_loads_torchscript_without_a_script(serve: Serve, file: str) -> None:
    host = serve("pytorch", files={"code/torch.py": TORCH, file: b"x"})

    assert json.loads(host.invoke(npy([1.5]), "application/x-npy").text) == {
        "kind": "float64",
        "file": file,
    }


def test_pytorch_makes_float_tensors_of_text_and_lists_of_tensors(serve: Serve) -> None:
    host = serve("pytorch", files={"code/torch.py": TORCH, "model.pt": b"x"})
    reply = host.invoke("[[1, 2.5]]", accept="text/csv")

    assert (reply.text, reply.content_type) == ("2.0,5.0\n", "text/csv")


def test_pytorch_refuses_an_artifact_with_two_models(refused: Serve) -> None:
    host = refused("pytorch", files={"code/torch.py": TORCH, "a.pt": b"x", "b.pth": b"x"})

    assert "Exactly one .pth or .pt file is required for PyTorch models" in host.log


@pytest.mark.skipif(find_spec("torch") is not None, reason="torch is installed")
def test_pytorch_without_torch_says_what_is_missing(serve: Serve) -> None:
    reply = serve("pytorch", DECODED).invoke("[1]")

    assert reply.status == 500
    assert "torch is not installed for the interpreter that runs this handler" in reply.text
