"""The stand-ins for AWS's toolkits that handlers import."""

from __future__ import annotations

import json

import pytest

from tests.unit.handler_host.conftest import Serve


def run(serve: Serve, imports: str, expression: str) -> object:
    """The value of ``expression`` in a handler that has ``imports``."""
    host = serve(
        "scikit-learn",
        "import json\n"
        f"{imports}\n"
        "def model_fn(model_dir): return None\n"
        f"def transform_fn(m, b, c, a): return json.dumps({expression})\n",
    )
    return json.loads(host.invoke().text)


@pytest.mark.parametrize(
    ("imports", "expression", "value"),
    [
        (
            "from sagemaker_containers.beta.framework import content_types, env, modules, server",
            "content_types.CSV",
            "text/csv",
        ),
        (
            "import sagemaker_containers.beta.framework as framework",
            "framework.encoders.encode([1, 2], 'text/csv')",
            "1\n2\n",
        ),
        (
            "from sagemaker_containers.beta.framework import encoders",
            "encoders.decode('1,2\\n3,4', 'text/csv').tolist()",
            [[1.0, 2.0], [3.0, 4.0]],
        ),
        (
            "from sagemaker_containers.beta.framework import encoders",
            "encoders.csv_to_numpy('a,b\\nc,d').tolist()",
            [["a", "b"], ["c", "d"]],
        ),
        ("from sagemaker_containers import _encoders", "_encoders.array_to_json([1])", "[1]"),
        (
            "from sagemaker_inference import content_types, decoder, encoder",
            "[encoder.encode([[1, 2]], content_types.CSV), decoder.decode('[3]', a).tolist()]",
            ["1,2\n", [3]],
        ),
        (
            "from sagemaker_inference import utils",
            "utils.parse_accept('text/csv, application/json')",
            ["text/csv", "application/json"],
        ),
        (
            "from sagemaker_inference.default_inference_handler import DefaultInferenceHandler",
            "DefaultInferenceHandler().default_output_fn([1], 'application/json')",
            ["[1]", "application/json"],
        ),
        (
            "from sagemaker_huggingface_inference_toolkit import decoder_encoder",
            "decoder_encoder.decode('{\"inputs\": 1}', 'application/json')",
            {"inputs": 1},
        ),
        (
            "from sagemaker_xgboost_container.constants import xgb_content_types",
            "xgb_content_types.X_LIBSVM",
            "text/x-libsvm",
        ),
        (
            "from mms.service import PredictionException",
            "str(PredictionException('a', 4))",
            "a : 4",
        ),
        (
            "import sagemaker_pytorch_serving_container.default_pytorch_inference_handler as d",
            "d.DefaultPytorchInferenceHandler().default_output_fn([[1, 2]], 'application/json')",
            "[[1, 2]]",
        ),
    ],
)
def test_names_that_handlers_import_are_there(
    serve: Serve, imports: str, expression: str, value: object
) -> None:
    assert run(serve, imports, expression) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("worker.Response('é').get_data().decode()", "é"),
        ("worker.Response('x', status=404).status", "404 UNKNOWN"),
        ("worker.Response('x', status='418 I am a teapot').status_code", 418),
        ("worker.Response('x', headers={'X-A': 1}).headers['x-a']", "1"),
        ("worker.Response('x', mimetype='text/csv').mimetype", "text/csv"),
        ("worker.Response('x', headers={'Content-Type': 'a/b'}).content_type", "a/b"),
        ("worker.Response('{\"a\": 1}').json", {"a": 1}),
        ("worker.Response(iter(['a', b'b'])).get_data(as_text=True)", "ab"),
        ("worker.Response().data.decode()", ""),
    ],
)
def test_a_response_reads_as_flasks_does(serve: Serve, expression: str, value: object) -> None:
    assert run(serve, "from sagemaker_containers.beta.framework import worker", expression) == value


def test_an_installed_toolkit_wins(serve: Serve) -> None:
    host = serve(
        "inference",
        """
        from sagemaker_inference import content_types
        def model_fn(model_dir): return None
        def transform_fn(m, b, c, a): return content_types.JSON
        """,
        files={
            "code/sagemaker_inference/__init__.py": "",
            "code/sagemaker_inference/content_types.py": "JSON = 'the installed one'",
        },
    )

    assert host.invoke().text == "the installed one"


def test_a_part_that_is_not_provided_says_what_to_install(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        from sagemaker_containers.beta.framework import transformer
        def model_fn(model_dir): return None
        def transform_fn(m, b, c, a): return transformer.Transformer()
        """,
    )

    assert "add sagemaker-containers to the handler's requirements.txt" in host.invoke().text


def test_a_module_that_no_toolkit_has_is_missing(refused: Serve) -> None:
    host = refused("inference", "import sagemaker_inference.nonsense")

    assert "No module named 'sagemaker_inference.nonsense'" in host.log
