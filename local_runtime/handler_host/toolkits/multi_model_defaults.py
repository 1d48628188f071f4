"""Default handler functions of the scikit-learn and XGBoost containers in multi-model mode.

There they run below Multi Model Server and sagemaker_inference, not Flask. Sources:
sagemaker_sklearn_container/handler_service.py and sagemaker_xgboost_container/handler_service.py.
"""

from __future__ import annotations

from .content_types import UTF8_TYPES
from .defaults import DefaultInferenceHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class DefaultScikitLearnInferenceHandler(DefaultInferenceHandler):
    """Arrays in, arrays out."""

    def default_input_fn(
        self,
        input_data: Any,
        content_type: str | None,
        context: object = None,  # noqa: ARG002
    ) -> Any:
        """An array, of float32 when it came as text; a single row stays a row."""
        from .containers_codec import decode  # noqa: PLC0415

        array = decode(input_data, content_type)
        if len(array.shape) == 1:
            array = array.reshape(1, -1)
        return array.astype("float32") if content_type in UTF8_TYPES else array

    def default_predict_fn(self, data: Any, model: Any, context: object = None) -> Any:  # noqa: ARG002
        """The model's ``predict``."""
        return model.predict(data)

    def default_output_fn(
        self,
        prediction: Any,
        accept: str,
        context: object = None,  # noqa: ARG002
    ) -> Any:
        """The prediction encoded as the client accepts it."""
        from .containers_codec import encode  # noqa: PLC0415

        return encode(prediction, accept), accept


class DefaultXGBoostInferenceHandler(DefaultScikitLearnInferenceHandler):
    """A DMatrix in, an array out."""

    def default_input_fn(
        self,
        input_data: Any,
        content_type: str | None,
        context: object = None,  # noqa: ARG002
    ) -> Any:
        """A DMatrix."""
        from .dmatrix import decode  # noqa: PLC0415

        return decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: object = None) -> Any:  # noqa: ARG002
        """The booster's ``predict``."""
        return model.predict(data, validate_features=False)


def defaults_of(stack: str) -> DefaultInferenceHandler:
    """The defaults of a stack that is served by Flask in single-model mode."""
    if stack == "xgboost":
        return DefaultXGBoostInferenceHandler()
    return DefaultScikitLearnInferenceHandler()
