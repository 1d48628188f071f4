"""Default handler functions of sagemaker_inference and of the PyTorch container.

Sources: sagemaker_inference/default_inference_handler.py 1.10.1 and
sagemaker_pytorch_serving_container/default_pytorch_inference_handler.py 2.0.25.
"""

from __future__ import annotations

import os

from . import inference_codec
from .content_types import CSV, UTF8_TYPES
from .errors import UnsupportedFormatError
from .utils import parse_accept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class DefaultInferenceHandler:
    """What stands in for the functions that a script does not define."""

    def default_model_fn(self, model_dir: str, context: object = None) -> Any:
        """Refuse: there is no model format that every framework shares."""
        raise NotImplementedError("Please provide a model_fn implementation.")

    def default_input_fn(
        self,
        input_data: Any,
        content_type: str | None,
        context: object = None,  # noqa: ARG002
    ) -> Any:
        """The request body as a NumPy array, or as a sparse matrix for NPZ."""
        return inference_codec.decode(input_data, content_type)

    def default_predict_fn(self, data: Any, model: Any, context: object = None) -> Any:
        """Refuse: how a model is called depends on the framework."""
        raise NotImplementedError("Please provide a predict_fn implementation.")

    def default_output_fn(
        self,
        prediction: Any,
        accept: str,
        context: object = None,  # noqa: ARG002
    ) -> Any:
        """The prediction in the first accepted type that has an encoder, and that type."""
        for content_type in parse_accept(accept):
            if content_type in inference_codec.SUPPORTED_CONTENT_TYPES:
                return inference_codec.encode(prediction, content_type), content_type
        raise UnsupportedFormatError(accept)


class ModelLoadError(Exception):
    """A file that is not TorchScript."""


def _torch() -> Any:
    try:
        import torch  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            "the PyTorch container's default functions work on tensors, and torch is not installed "
            "for the interpreter that runs this handler; install it, or define the function",
            name="torch",
        ) from error
    return torch


class DefaultPytorchInferenceHandler(DefaultInferenceHandler):
    """TorchScript from ``model.pt``; tensors in, tensors out."""

    def default_model_fn(self, model_dir: str, context: object = None) -> Any:  # noqa: ARG002
        """Load ``model.pt``, or else the one file that ends in .pt or .pth."""
        torch = _torch()
        path = os.path.join(model_dir, "model.pt")
        if not os.path.exists(path):
            # isfile sees the bare name, so the container finds the file only because the model
            # directory is its working directory. Kept: a handler may have changed it.
            files = [
                name
                for name in os.listdir(model_dir)
                if os.path.isfile(name) and name.endswith((".pt", ".pth"))
            ]
            if len(files) != 1:
                raise ValueError(
                    f"Exactly one .pth or .pt file is required for PyTorch models: {files}"
                )
            path = os.path.join(model_dir, files[0])
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            model = torch.jit.load(path, map_location=device)
        except RuntimeError as error:
            raise ModelLoadError(
                f"Failed to load {path}. Please ensure model is saved using torchscript."
            ) from error
        return model.to(device)

    def default_input_fn(
        self,
        input_data: Any,
        content_type: str | None,
        context: object = None,  # noqa: ARG002
    ) -> Any:
        """The request body as a tensor: of float32 for JSON and CSV, of its own type for NPY."""
        array = inference_codec.decode(input_data, content_type)
        torch = _torch()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        tensor = torch.FloatTensor(array) if content_type in UTF8_TYPES else torch.from_numpy(array)
        return tensor.to(device)

    def default_predict_fn(self, data: Any, model: Any, context: object = None) -> Any:  # noqa: ARG002
        """Call the model on the tensor, without gradients."""
        torch = _torch()
        with torch.no_grad():
            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            model = model.to(device)
            model.eval()
            return model(data.to(device))

    def default_output_fn(
        self,
        prediction: Any,
        accept: str,
        context: object = None,  # noqa: ARG002
    ) -> Any:
        """The prediction as lists, in the first accepted type that has an encoder."""
        if type(prediction).__module__ == "torch" and type(prediction).__name__ == "Tensor":
            prediction = prediction.detach().cpu().numpy().tolist()
        for content_type in parse_accept(accept):
            if content_type in inference_codec.SUPPORTED_CONTENT_TYPES:
                encoded = inference_codec.encode(prediction, content_type)
                return encoded.encode() if content_type == CSV else encoded  # type: ignore[union-attr]
        raise UnsupportedFormatError(accept)
