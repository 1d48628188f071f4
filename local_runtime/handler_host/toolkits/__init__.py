"""Stand-ins for the AWS toolkits that handlers import, for interpreters that lack them.

In AWS's images a handler finds sagemaker_containers, sagemaker_inference and others installed. A
laptop rarely has them, and what handlers take from them is small: ``worker.Response``, encoders,
content types, error classes. A package that is installed always wins.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import NoReturn

_FRAMEWORK = "sagemaker_containers.beta.framework"

# The module of this package that each name stands for; None is a package that holds others.
_STAND_INS = {
    "sagemaker_containers": None,
    "sagemaker_containers._content_types": "content_types",
    "sagemaker_containers._encoders": "containers_codec",
    "sagemaker_containers._env": "environment",
    "sagemaker_containers._errors": "errors",
    "sagemaker_containers._worker": "response",
    "sagemaker_containers.beta": None,
    _FRAMEWORK: None,
    "sagemaker_inference": None,
    "sagemaker_inference.content_types": "content_types",
    "sagemaker_inference.decoder": "inference_codec",
    "sagemaker_inference.default_inference_handler": "defaults",
    "sagemaker_inference.encoder": "inference_codec",
    "sagemaker_inference.environment": "environment",
    "sagemaker_inference.errors": "errors",
    "sagemaker_inference.utils": "utils",
    "sagemaker_xgboost_container": None,
    "sagemaker_xgboost_container.constants": None,
    "sagemaker_xgboost_container.constants.xgb_content_types": "content_types",
    "sagemaker_xgboost_container.encoder": "dmatrix",
    "sagemaker_pytorch_serving_container": None,
    "sagemaker_pytorch_serving_container.default_pytorch_inference_handler": "defaults",
    "sagemaker_huggingface_inference_toolkit": None,
    "sagemaker_huggingface_inference_toolkit.content_types": "content_types",
    "sagemaker_huggingface_inference_toolkit.decoder_encoder": "huggingface_codecs",
    "mms": None,
    "mms.service": "errors",
}
# The framework package gives private modules public names.
_FRAMEWORK_NAMES = {
    "content_types": "sagemaker_containers._content_types",
    "encoders": "sagemaker_containers._encoders",
    "env": "sagemaker_containers._env",
    "errors": "sagemaker_containers._errors",
    "worker": "sagemaker_containers._worker",
}
# Handlers import these along with the others, and use them in training if at all.
_FRAMEWORK_UNUSED = frozenset(
    {"entry_point", "files", "functions", "logging", "mapping", "modules", "mpi", "params",
     "process", "runner", "server", "trainer", "transformer"}
)  # fmt: skip


class ToolkitFinder:
    """The last finder to be asked, so that installed packages come first."""

    @classmethod
    def install(cls) -> None:
        """Let handlers import the stand-ins."""
        sys.meta_path.append(cls())

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  (the interface of a finder)
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """The spec of a stand-in; None for every other module."""
        if name not in _STAND_INS:
            return None
        # ModuleSpec; its module would import others before any handler has asked for them.
        spec_type = type(sys.__spec__)
        return spec_type(name, self, is_package=_STAND_INS[name] is None)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave the module to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module with what it stands for."""
        source = _STAND_INS[module.__name__]
        if source is not None:
            __import__(f"{__name__}.{source}")
            content = vars(sys.modules[f"{__name__}.{source}"])
            vars(module).update({k: v for k, v in content.items() if not k.startswith("__")})
        elif module.__name__ == _FRAMEWORK:
            module.__getattr__ = _framework_module  # type: ignore[method-assign]


def _framework_module(name: str) -> ModuleType:
    target = _FRAMEWORK_NAMES.get(name)
    if target is not None:
        __import__(target)
        return sys.modules[target]
    if name in _FRAMEWORK_UNUSED:
        module = type(sys)(f"{_FRAMEWORK}.{name}")
        module.__getattr__ = _Absent(name)  # type: ignore[method-assign]
        return module
    raise AttributeError(f"module {_FRAMEWORK!r} has no attribute {name!r}")


class _Absent:
    """Says what to do about a name that the stand-in does not have."""

    def __init__(self, module_name: str) -> None:
        self._module_name = module_name

    def __call__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"{_FRAMEWORK}.{self._module_name}.{name} is not part of the stand-in for "
            "sagemaker_containers; add sagemaker-containers to the handler's requirements.txt"
        )
