"""The single-model scikit-learn and XGBoost containers in script mode: handler functions in Flask.

Sources: sagemaker_containers/{_transformer,_worker}.py 2.8.6,
sagemaker_sklearn_container/serving.py, sagemaker_xgboost_container/serving.py.
"""

from __future__ import annotations

from .flask_answer import answer_result, error_page
from .process_log import log_exception
from .toolkits.content_types import ANY, JSON, UTF8_TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .entry_point import HandlerFunctions
    from .message import Answer, Body, Head


class ScikitLearnDefaults:
    """Default functions of the scikit-learn container."""

    stack = "scikit-learn"

    def input_fn(self, input_data: Any, content_type: str) -> Any:
        """An array; of float32 when it came as text."""
        from .toolkits.containers_codec import decode  # noqa: PLC0415

        array = decode(input_data, content_type)
        return array.astype("float32") if content_type in UTF8_TYPES else array

    def predict_fn(self, input_data: Any, model: Any) -> Any:
        """The model's ``predict``."""
        return model.predict(input_data)

    def output_fn(self, prediction: Any, accept: str) -> tuple[str | bytes, str]:
        """The prediction encoded as the client accepts it."""
        from .toolkits.containers_codec import encode  # noqa: PLC0415

        return encode(prediction, accept), accept


class XGBoostDefaults(ScikitLearnDefaults):
    """Default functions of the XGBoost container."""

    stack = "xgboost"

    def input_fn(self, input_data: Any, content_type: str) -> Any:
        """A DMatrix."""
        from .toolkits.dmatrix import decode  # noqa: PLC0415

        return decode(input_data, content_type)

    def predict_fn(self, input_data: Any, model: Any) -> Any:
        """The booster's ``predict``."""
        return model.predict(input_data, validate_features=False)


class FlaskStack:
    """One handler, loaded, and the requests it answers."""

    def __init__(
        self,
        functions: HandlerFunctions,
        defaults: ScikitLearnDefaults,
        model_dir: str,
        environ: Mapping[str, str],
    ) -> None:
        def chosen(name: str, default: Callable[..., Any]) -> Callable[..., Any]:
            function = functions[name]
            return default if function is None else function

        self._default_accept = environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        self._input_fn = chosen("input_fn", defaults.input_fn)
        self._predict_fn = chosen("predict_fn", defaults.predict_fn)
        self._output_fn = chosen("output_fn", defaults.output_fn)
        self._transform_fn = chosen("transform_fn", self._transform)
        self._execution_parameters_fn = functions["execution_parameters_fn"]
        self._model = functions.require("model_fn", defaults.stack)(model_dir)

    def invoke(self, head: Head, body: Body) -> Answer:
        """Answer ``POST /invocations``."""
        fields = head.fields
        content_type = fields.get("contenttype") or fields.get("content-type") or JSON
        accept = fields.get("accept")
        if not accept or accept == ANY:
            accept = self._default_accept
        content = body.decode("utf-8", "replace") if content_type in UTF8_TYPES else bytes(body)
        try:
            return answer_result(self._transform_fn(self._model, content, content_type, accept))
        except Exception as error:
            return _failure(error)

    def _transform(self, model: Any, content: str | bytes, content_type: str, accept: str) -> Any:
        data = self._input_fn(content, content_type)
        return self._output_fn(self._predict_fn(data, model), accept)

    def execution_parameters(self) -> Answer:
        """Answer ``GET /execution-parameters``, which the handler may define for batch jobs."""
        if self._execution_parameters_fn is None:
            return error_page(404)
        try:
            return answer_result(self._execution_parameters_fn())
        except Exception as error:
            return _failure(error)


def _failure(error: Exception) -> Answer:
    trace = log_exception("the handler raised")
    return error_page(500, f"{error}\n{trace}")
