"""Containers built on sagemaker_inference: PyTorch, and plain ones.

Source: sagemaker_inference/transformer.py 1.10.1.
"""

from __future__ import annotations

from .arity import function_name, parameter_count
from .context import Context
from .entry_point import StartupError
from .message import text_answer
from .model_server_answer import answer_value
from .process_log import log_exception
from .toolkits.content_types import ANY, JSON, UTF8_TYPES
from .toolkits.defaults import DefaultInferenceHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .entry_point import HandlerFunctions
    from .message import Answer, Body, Head


class InferenceStack:
    """One handler, loaded, and the requests it answers."""

    def __init__(
        self,
        functions: HandlerFunctions,
        defaults: DefaultInferenceHandler,
        model_dir: str,
        environ: Mapping[str, str],
    ) -> None:
        self._context = Context(model_dir)
        self._default_accept = environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)

        def chosen(name: str, count: int, default: Callable[..., Any]) -> Callable[..., Any]:
            function = functions[name]
            return self._with_context(default if function is None else function, count)

        self._input_fn = chosen("input_fn", 2, defaults.default_input_fn)
        self._predict_fn = chosen("predict_fn", 2, defaults.default_predict_fn)
        self._output_fn = chosen("output_fn", 2, defaults.default_output_fn)
        self._transform_fn = chosen("transform_fn", 4, self._transform)
        before, after = functions["pre_model_fn"], functions["model_warmup_fn"]
        if before is not None:
            self._with_context(before, 1)(model_dir)
        self._model = self._load_model(functions, defaults, model_dir)
        if after is not None:
            self._with_context(after, 2)(model_dir, self._model)

    def _load_model(
        self, functions: HandlerFunctions, defaults: DefaultInferenceHandler, model_dir: str
    ) -> Any:
        function = functions["model_fn"]
        if function is not None:
            return self._with_context(function, 1)(model_dir)
        try:
            return defaults.default_model_fn(model_dir)
        except Exception as error:
            # The toolkit's own message does not say which file lacks the function.
            raise StartupError(
                f"{functions.absence('model_fn')}, and the container's default failed: {error}"
            ) from error

    def _with_context(self, function: Callable[..., Any], count: int) -> Callable[..., Any]:
        """``function`` as one of ``count`` arguments; it gets the context when it takes one more.

        Any other number is an error of the request, not of the start, as in the toolkit.
        """
        parameters = parameter_count(function)
        if parameters == count:
            return function
        if parameters == count + 1:
            context = self._context
            return lambda *arguments: function(*arguments, context)
        message = f"{function_name(function)} takes {parameters} arguments but {count} were given."

        def refuse(*_: object) -> Any:
            raise TypeError(message)

        return refuse

    def invoke(self, head: Head, body: Body) -> Answer:
        """Answer ``POST /invocations``."""
        request = self._context.begin(head)
        content_type = head.fields.get("content-type")
        accept = head.fields.get("accept")
        if not accept or accept == ANY:
            accept = self._default_accept
        try:
            content = body.decode() if content_type in UTF8_TYPES else bytes(body)
            result = self._transform_fn(self._model, content, content_type, accept)
            if isinstance(result, tuple):
                result, accept = result[0], result[1]
            request.add_response_property("content-type", accept)
            return answer_value(result, request)
        except Exception as error:
            return _failure(error)

    def _transform(
        self, model: Any, content: str | bytes, content_type: str | None, accept: str
    ) -> Any:
        data = self._input_fn(content, content_type)
        return self._output_fn(self._predict_fn(data, model), accept)

    def execution_parameters(self) -> Answer:
        """Answer ``GET /execution-parameters``, which the model server does not know."""
        return text_answer(404, "not found: /execution-parameters")


def _failure(error: Exception) -> Answer:
    """Message and traceback; an error that carries a status, of the toolkit, decides it."""
    trace = log_exception("the handler raised")
    status, message = 500, str(error)
    # by name: the class may come from the installed toolkit or from the stand-in
    if any(base.__name__ == "BaseInferenceToolkitError" for base in type(error).__mro__):
        status, message = int(error.status_code), error.message  # type: ignore[attr-defined]
    elif not message:
        message = "Invalid Request"
    return text_answer(status, f"{message}\n{trace}")
