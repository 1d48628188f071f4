"""The Hugging Face container: its own codecs, context only where declared, every error a 400."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from tests.unit.handler_host.conftest import Host, Hosts, Serve

ANSWERS = """
    def model_fn(model_dir): return None
    def input_fn(body, content_type): return body
    def predict_fn(data, model): return data
    def output_fn(data, accept):
        import numpy as np
        from mms.service import PredictionException
        return eval(data)
"""
DEFAULTS = """
    def model_fn(model_dir):
        return lambda inputs, **parameters: [{"input": repr(inputs), **parameters}]
"""


@pytest.fixture(scope="module")
def answers(shared_hosts: Hosts) -> Host:
    return shared_hosts.serve("huggingface", ANSWERS)


@pytest.fixture(scope="module")
def defaults(shared_hosts: Hosts) -> Host:
    return shared_hosts.serve("huggingface", DEFAULTS)


@pytest.mark.parametrize(
    ("expression", "body"),
    [
        ("'text'", b"text"),
        ("b'bytes'", b"bytes"),
        ("{'a': 1}", b'{\n  "a": 1\n}'),
        ("None", b"null"),
        # taken apart by other containers
        ("('x', 'text/csv')", b'[\n  "x",\n  "text/csv"\n]'),
    ],
)
def test_values_are_answered_with_the_type_the_client_accepts(
    answers: Host, expression: str, body: Any
) -> None:
    reply = answers.invoke(expression, accept="text/plain")

    assert (reply.status, reply.body, reply.content_type) == (200, body, "text/plain")


def test_the_default_accept_is_json_whatever_is_set(serve: Serve) -> None:
    host = serve("huggingface", ANSWERS, env={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"})

    assert host.invoke("'x'").content_type == "application/json"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("{}['inputs']", "'inputs'"),
        ("1 / 0", "division by zero"),
        ("(_ for _ in ()).throw(PredictionException('too long', 413))", "too long : 413"),
    ],
)
def test_every_error_is_a_400_in_json(answers: Host, expression: str, message: str) -> None:
    reply = answers.invoke(expression)
    error = json.loads(reply.text)

    assert (reply.status, reply.content_type) == (400, "application/json")
    assert (error["code"], error["type"]) == (400, "InternalServerException")
    assert error["message"] == message


def test_the_error_document_is_escaped_as_the_model_server_does(answers: Host) -> None:
    assert '"message": "\\u0027inputs\\u0027"' in answers.invoke("{}['inputs']").text


def test_text_that_is_not_utf_8_is_a_400(answers: Host) -> None:
    assert answers.invoke(b"\xff", "text/csv").status == 400


def test_errors_are_logged_with_their_traceback(answers: Host) -> None:
    answers.invoke("{}['logged key']")

    assert "KeyError: 'logged key'" in answers.log


@pytest.mark.parametrize(
    ("content_type", "body", "inputs"),
    [
        ("application/json", b'{"inputs": "hi"}', "'hi'"),
        ("text/csv", b"inputs\none\ntwo", "['one', 'two']"),
        ("text/csv", b"question,context\nwho,me", "[{'question': 'who', 'context': 'me'}]"),
        ("audio/mpeg", b"abc", "b'abc'"),
    ],
)
def test_default_decoders_give_the_inputs_of_a_pipeline(
    defaults: Host, content_type: str | None, body: Any, inputs: str
) -> None:
    assert json.loads(defaults.invoke(body, content_type).text) == [{"input": inputs}]


def test_parameters_become_keyword_arguments_of_the_pipeline(defaults: Host) -> None:
    reply = defaults.invoke('{"inputs": "hi", "parameters": {"top_k": 2}}')

    assert json.loads(reply.text) == [{"input": "'hi'", "top_k": 2}]


def test_a_csv_without_a_known_header_is_refused(defaults: Host) -> None:
    reply = defaults.invoke("1,2", "text/csv")

    assert reply.status == 400
    assert "correct CSV with Header columns" in reply.text


@pytest.mark.parametrize("headers", [{"content_type": "text/plain"}, {"accept": "text/html"}])
def test_unsupported_types_are_a_400(defaults: Host, headers: Any) -> None:
    reply = defaults.invoke('{"inputs": 1}', **headers)

    assert reply.status == 400
    assert "is not supported by this framework" in reply.text


def test_answers_are_compact_json(defaults: Host) -> None:
    assert defaults.invoke('{"inputs": "é"}').text == '[{"input":"\'é\'"}]'


def test_answers_can_be_csv(defaults: Host) -> None:
    assert defaults.invoke('{"inputs": 1}', accept="text/csv").text == "input\r\n1\r\n"


def test_dictionaries_of_tensors_become_lists(serve: Serve) -> None:
    host = serve(
        "huggingface",
        """
        import numpy as np
        class Tensor:
            def tolist(self): return [[0.5]]
        def model_fn(model_dir): return None
        def predict_fn(data, model):
            return {"logits": Tensor(), "label": np.int64(3), "mean": np.float32(0.5)}
        """,
    )

    assert host.invoke("[1]").text == '{"logits":[[0.5]],"label":3,"mean":0.5}'


def test_answers_can_be_npy(serve: Serve) -> None:
    host = serve(
        "huggingface",
        "def model_fn(d): return None\ndef predict_fn(data, model): return [[1.5]]\n",
    )
    reply = host.invoke("[1]", accept="application/x-npy")

    assert np.load(io.BytesIO(reply.body)).tolist() == [[1.5]]


def test_nan_is_refused(serve: Serve) -> None:
    host = serve(
        "huggingface",
        "def model_fn(d): return None\ndef predict_fn(data, model): return float('nan')\n",
    )

    assert host.invoke("[1]").status == 400


def test_functions_get_the_context_where_they_declare_it(serve: Serve) -> None:
    host = serve(
        "huggingface",
        """
        def model_fn(model_dir, context): return context.system_properties["gpu_id"]
        def input_fn(body, content_type): return body
        def predict_fn(data, model, context): return [model, context.get_request_header(0, "X-A")]
        def output_fn(prediction, accept): return prediction
        """,
    )

    assert json.loads(host.invoke(X_A="1").text) == [None, "1"]


def test_a_wrong_number_of_arguments_stops_the_start(refused: Serve) -> None:
    host = refused("huggingface", "def model_fn(d): return 1\ndef predict_fn(data): return 1")

    assert "predict_fn definition takes 2 or 3 arguments but 1 were given" in host.log


# without functions of its own: the smallest stand-in for transformers that shows what is called

TRANSFORMERS = """
    def pipeline(**options):
        options["model"] = options["model"].rpartition("/")[2]
        options.pop("tokenizer", None), options.pop("feature_extractor", None)
        return lambda inputs: [{**options, "inputs": inputs}]
"""


@pytest.mark.parametrize(
    ("files", "env", "task"),
    [
        ({}, {"HF_TASK": "fill-mask"}, "fill-mask"),
        (
            {"config.json": '{"architectures": ["BertForSequenceClassification"]}'},
            {},
            "text-classification",
        ),
        (
            {"config.json": '{"architectures": ["TapasForQuestionAnswering"]}'},
            {},
            "question-answering",
        ),
    ],
)
def test_without_a_script_the_task_decides_the_pipeline(
    serve: Serve, files: dict[str, str], env: dict[str, str], task: str
) -> None:
    host = serve("huggingface", files={"code/transformers.py": TRANSFORMERS, **files}, env=env)
    (answer,) = json.loads(host.invoke('{"inputs": "hi"}').text)

    assert (answer["task"], answer["model"], answer["inputs"]) == (task, "model", "hi")


def test_a_diffusion_model_answers_with_an_image(serve: Serve) -> None:
    host = serve(
        "huggingface",
        files={
            "model_index.json": "{}",
            "code/diffusers.py": """
                class Image:
                    def __init__(self, prompt): self.prompt = prompt
                    def save(self, file, format): file.write(f"{format} of {self.prompt}".encode())
                class DiffusionPipeline:
                    from_pretrained = staticmethod(lambda folder: DiffusionPipeline())
                    def __call__(self, prompt):
                        self.images = [Image(prompt)]
                        return self
            """,
        },
    )
    reply = host.invoke('{"inputs": "a cat"}', accept="image/png")

    assert (reply.content_type, reply.text) == ("image/png", "PNG of a cat")


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({}, "without it HF_TASK must name a task"),
        ({"config.json": '{"architectures": ["Unheard"]}'}, "the task cannot be inferred from"),
    ],
)
def test_a_model_whose_task_is_unknown_is_refused(
    refused: Serve, files: dict[str, str], complaint: str
) -> None:
    host = refused("huggingface", files={"code/transformers.py": TRANSFORMERS, **files})

    assert complaint in host.log


def test_a_task_whose_input_is_nested_refuses_csv(serve: Serve) -> None:
    host = serve(
        "huggingface",
        files={"code/transformers.py": TRANSFORMERS},
        env={"HF_TASK": "table-question-answering"},
    )

    assert "not support with table-question-answering" in host.invoke("a,b", "text/csv").text


def test_a_model_of_the_hub_wins_over_the_artifact(hosts: Hosts) -> None:
    hub = hosts.folder / "hub"
    (hub / "snapshot" / "code").mkdir(parents=True)
    (hub / "snapshot" / "code" / "inference.py").write_text(
        "def model_fn(d): return 'from the hub'\ndef transform_fn(m, b, c, a): return m\n"
    )
    (hub / "huggingface_hub.py").write_text(
        "def snapshot_download(name, revision, token):\n"
        f"    assert (name, revision, token) == ('team/model', 'v2', None)\n"
        f"    return {str(hub / 'snapshot')!r}\n"
    )
    host = hosts.serve(
        "huggingface",
        "def model_fn(d): return 'from the artifact'\ndef transform_fn(m, b, c, a): return m\n",
        env={"HF_MODEL_ID": "team/model", "HF_MODEL_REVISION": "v2", "PYTHONPATH": str(hub)},
    )

    assert host.invoke().text == "from the hub"
