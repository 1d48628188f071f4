"""The Hugging Face container: handler functions around a transformers pipeline.

Sources: sagemaker_huggingface_inference_toolkit/{handler_service,transformers_utils}.py 2.6.0.
"""

from __future__ import annotations

import os

from .arity import function_name, parameter_count
from .context import Context
from .entry_point import StartupError
from .message import text_answer
from .model_server_answer import answer_value, json_error
from .process_log import log, log_exception
from .toolkits.content_types import ANY, CSV, JSON, UTF8_TYPES
from .toolkits.errors import PredictionException

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .entry_point import HandlerFunctions
    from .message import Answer, Body, Head

_TASK_OF_ARCHITECTURE = {
    "TapasForQuestionAnswering": "table-question-answering",
    "ForQuestionAnswering": "question-answering",
    "ForTokenClassification": "token-classification",
    "ForSequenceClassification": "text-classification",
    "ForMultipleChoice": "multiple-choice",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "MTModel": "text2text-generation",
    "EncoderDecoderModel": "text2text-generation",
    "GPT2LMHeadModel": "text-generation",
    "T5WithLMHeadModel": "text2text-generation",
}
_TASKS_WITH_FEATURES = frozenset(
    {
        "audio-classification",
        "automatic-speech-recognition",
        "image-classification",
        "image-segmentation",
        "object-detection",
        "zero-shot-image-classification",
    }
)
_TASKS_WITHOUT_CSV = frozenset({"table-question-answering", "zero-shot-classification"})


def download_model(environ: Mapping[str, str]) -> str:
    """Fetch HF_MODEL_ID, which wins over the model artifact, and return its folder."""
    try:
        from huggingface_hub import (  # noqa: PLC0415
            snapshot_download,
        )
    except ModuleNotFoundError as error:
        if error.name != "huggingface_hub":
            raise
        raise StartupError(
            "HF_MODEL_ID needs huggingface_hub, which is not installed for the interpreter that "
            "runs this handler"
        ) from error
    log(f"downloading {environ['HF_MODEL_ID']} from the Hugging Face Hub (HF_MODEL_ID)")
    return str(
        snapshot_download(
            environ["HF_MODEL_ID"],
            revision=environ.get("HF_MODEL_REVISION"),
            token=environ.get("HF_API_TOKEN"),
        )
    )


class HuggingFaceStack:
    """One handler, loaded, and the requests it answers."""

    def __init__(
        self, functions: HandlerFunctions, model_dir: str, environ: Mapping[str, str]
    ) -> None:
        self._context = Context(model_dir)
        self._environ = environ

        def chosen(name: str, count: int, default: Callable[..., Any]) -> Callable[..., Any]:
            function = functions[name]
            return default if function is None else self._with_context(function, count)

        self._input_fn = chosen("input_fn", 2, self._decode)
        self._predict_fn = chosen("predict_fn", 2, _run_pipeline)
        self._output_fn = chosen("output_fn", 2, _encode)
        self._transform_fn = chosen("transform_fn", 4, self._transform)
        self._model = chosen("model_fn", 1, self._default_model_fn(functions))(model_dir)

    def _with_context(self, function: Callable[..., Any], count: int) -> Callable[..., Any]:
        """``function`` as one of ``count`` arguments; with one more it gets the context."""
        parameters = parameter_count(function)
        if parameters == count:
            return function
        if parameters == count + 1:
            context = self._context
            return lambda *arguments: function(*arguments, context)
        raise StartupError(
            f"{function_name(function)} definition takes {count} or {count + 1} arguments "
            f"but {parameters} were given."
        )

    def _default_model_fn(self, functions: HandlerFunctions) -> Callable[[str], Any]:
        def load(model_dir: str) -> Any:
            try:
                return self._load_pipeline(model_dir)
            except StartupError as error:
                raise StartupError(f"{functions.absence('model_fn')}, and {error}") from error

        return load

    def _load_pipeline(self, model_dir: str) -> Any:
        files = os.listdir(model_dir)
        task = self._environ.get("HF_TASK")
        if task is None and "config.json" in files:
            import json  # noqa: PLC0415

            with open(os.path.join(model_dir, "config.json"), encoding="utf-8") as config:
                task = _infer_task(json.load(config))
        elif task is None and "model_index.json" in files:
            task = "text-to-image"
        if task is None:
            raise StartupError(
                f"without it HF_TASK must name a task, or {model_dir} must hold a config.json"
            )
        return _pipeline(task, model_dir, self._environ)

    def _decode(self, content: Any, content_type: str | None) -> Any:
        from .toolkits.huggingface_codecs import decode  # noqa: PLC0415

        task = self._environ.get("HF_TASK")
        if task in _TASKS_WITHOUT_CSV and content_type == CSV:
            raise PredictionException(
                f"content type {content_type} not support with {task}, use different content_type",
                400,
            )
        return decode(content, content_type)

    def _transform(
        self, model: Any, content: str | bytes, content_type: str | None, accept: str
    ) -> Any:
        data = self._input_fn(content, content_type)
        return self._output_fn(self._predict_fn(data, model), accept)

    def invoke(self, head: Head, body: Body) -> Answer:
        """Answer ``POST /invocations``; every error of the handler is a 400."""
        request = self._context.begin(head)
        content_type = head.fields.get("content-type")
        accept = head.fields.get("accept")
        if not accept or accept == ANY:
            accept = JSON  # SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT is not read by this toolkit
        try:
            content = body.decode() if content_type in UTF8_TYPES else bytes(body)
            result = self._transform_fn(self._model, content, content_type, accept)
            request.add_response_property("content-type", accept)
            # A tuple is not taken apart here, as other containers do: it becomes a JSON list.
            return answer_value(result, request)
        except Exception as error:
            log_exception("the handler raised")
            return json_error(400, str(error))

    def execution_parameters(self) -> Answer:
        """Answer ``GET /execution-parameters``, which the model server does not know."""
        return text_answer(404, "not found: /execution-parameters")


def _run_pipeline(data: Any, model: Any) -> Any:
    inputs = data.pop("inputs", data)
    parameters = data.pop("parameters", None)
    return model(inputs) if parameters is None else model(inputs, **parameters)


def _encode(prediction: Any, accept: str) -> str | bytes:
    from .toolkits.huggingface_codecs import encode  # noqa: PLC0415

    return encode(prediction, accept)


def _infer_task(config: Mapping[str, Any]) -> str:
    architecture = str(config.get("architectures", [None])[0])
    tasks = [t for suffix, t in _TASK_OF_ARCHITECTURE.items() if architecture.endswith(suffix)]
    if not tasks:
        raise StartupError(
            f"the task cannot be inferred from the architecture {architecture}: it must end with "
            f"one of {list(_TASK_OF_ARCHITECTURE)}; set HF_TASK"
        )
    return tasks[-1]


def _pipeline(task: str, model_dir: str, environ: Mapping[str, str]) -> Any:
    library = "diffusers" if task == "text-to-image" else "transformers"
    try:
        module: Any = __import__(library)
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        raise StartupError(
            f"the pipeline that takes its place needs {library}, which is not installed for the "
            "interpreter that runs the handler"
        ) from error
    if library == "diffusers":
        pipeline = module.DiffusionPipeline.from_pretrained(model_dir)
        return lambda prompt, **options: pipeline(prompt, **options).images[0]
    trusted = environ.get("HF_TRUST_REMOTE_CODE", "false").lower()
    tokenizer = "feature_extractor" if task in _TASKS_WITH_FEATURES else "tokenizer"
    return module.pipeline(
        task=task,
        model=model_dir,
        device=-1,
        trust_remote_code=trusted in {"y", "yes", "t", "true", "on", "1"},
        **{tokenizer: model_dir},
    )
