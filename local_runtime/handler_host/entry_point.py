"""Finding the handler's entry point in the model artifact, and importing it."""

from __future__ import annotations

import os
import sys

from .streaming import awaited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from types import ModuleType
    from typing import Any

DEFAULT_PROGRAM = "inference.py"
AWS_MODEL_DIR = "/opt/ml/model"
_AWS_CODE_DIR = "/opt/ml/code"  # where sagemaker_containers copies the submitted folder

FUNCTIONS = (
    "model_fn",
    "input_fn",
    "predict_fn",
    "output_fn",
    "transform_fn",
    "pre_model_fn",
    "model_warmup_fn",
    "execution_parameters_fn",
)


class StartupError(Exception):
    """The handler cannot be served as it is; the message says why, no traceback is needed."""


class EntryPoint:
    """A Python file that holds the handler functions."""

    __slots__ = ("directory", "file")

    def __init__(self, file: str) -> None:
        self.file = file
        self.directory = os.path.dirname(file)

    @property
    def module_name(self) -> str:
        """The name under which AWS's containers import it."""
        return os.path.splitext(os.path.basename(self.file))[0]

    def import_module(self) -> ModuleType:
        """Run the file.

        Its folder comes first on the path. A file that uses relative imports has no package in
        AWS's containers; here it gets one, so that ``from .sibling import name`` finds siblings.
        """
        name = self.module_name
        if self.directory not in sys.path:
            sys.path.insert(0, self.directory)
        if self._imports_relatively():
            package = type(sys)("submitted_code")
            package.__path__ = [self.directory]
            sys.modules[package.__name__] = package
            __import__(f"{package.__name__}.{name}")
            # Pickles name the classes of an entry point by the module they were trained in.
            sys.modules[name] = sys.modules[f"{package.__name__}.{name}"]
        else:
            __import__(name)
        module = sys.modules[name]
        loaded = getattr(module, "__file__", None)
        if loaded is None or not os.path.samefile(loaded, self.file):
            raise StartupError(
                f"{self.file} cannot be imported: module {name} is already loaded from {loaded}; "
                "give the entry point another name"
            )
        return module

    def _imports_relatively(self) -> bool:
        with open(self.file, "rb") as source:
            return any(line.lstrip().startswith(b"from .") for line in source)


def find_entry_point(model_dir: str, environ: MutableMapping[str, str]) -> EntryPoint | None:
    """Look for the program in the submitted folder, ``code/``, and the artifact's root.

    Returns None when no program is named and there is no ``inference.py``.

    Raises:
        StartupError: a program or a folder is named and does not exist.
    """
    program = environ.get("SAGEMAKER_PROGRAM", "")
    named = bool(program)
    if not named:
        program = DEFAULT_PROGRAM
    program = _local_path(program, model_dir)
    if not program.endswith(".py"):
        program += ".py"
    places = [os.path.join(model_dir, "code"), model_dir]
    submitted = environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    if submitted and "://" not in submitted:
        folder = os.path.join(model_dir, _local_path(submitted, model_dir))
        if not os.path.isdir(folder):
            raise StartupError(
                "SAGEMAKER_SUBMIT_DIRECTORY must be a folder of the model artifact, "
                f"got {submitted}"
            )
        places.insert(0, os.path.normpath(folder))
    for place in places:
        file = os.path.join(place, program)
        if os.path.isfile(file):
            return EntryPoint(os.path.abspath(file))
    if named:
        looked = ", ".join(dict.fromkeys(places))
        raise StartupError(f"the entry point {program} (SAGEMAKER_PROGRAM) is not in {looked}")
    return None


def _local_path(path: str, model_dir: str) -> str:
    """A path inside AWS's container as the path of the same file here."""
    path = path[len("file://") :] if path.startswith("file://") else path
    for aws, local in (
        (AWS_MODEL_DIR, model_dir),
        (_AWS_CODE_DIR, os.path.join(model_dir, "code")),
    ):
        if path == aws or path.startswith(aws + "/"):
            return local + path[len(aws) :]
    return path


def prepare_environment(model_dir: str, environ: MutableMapping[str, str]) -> None:
    """Make working directory and module path what they are in AWS's containers.

    The model directory is the working directory; it and its ``code`` folder are on the path, of
    this process and of those it starts.
    """
    os.chdir(model_dir)
    code = os.path.join(model_dir, "code")
    added = [code, model_dir] if os.path.isdir(code) else [model_dir]
    sys.path[:0] = added
    inherited = environ.get("PYTHONPATH")
    environ["PYTHONPATH"] = os.pathsep.join(added + ([inherited] if inherited else []))
    declared = environ.get("SM_MODEL_DIR")
    if declared is None or not os.path.isdir(declared):
        environ["SM_MODEL_DIR"] = model_dir
    # Handlers list their model directory, and AWS's images do not write byte code either.
    sys.dont_write_bytecode = True
    environ["PYTHONDONTWRITEBYTECODE"] = "1"


def _function(module: ModuleType | None, name: str) -> Callable[..., Any] | None:
    function = getattr(module, name, None)
    return None if function is None else awaited(function)


class HandlerFunctions:
    """The functions of the contract that an entry point defines; None for each it does not."""

    def __init__(self, entry: EntryPoint | None) -> None:
        self.file = None if entry is None else entry.file
        module = None if entry is None else entry.import_module()
        self._functions: dict[str, Callable[..., Any] | None] = {
            name: _function(module, name) for name in FUNCTIONS
        }
        if self["transform_fn"] is not None:
            beside = [
                name
                for name in ("input_fn", "predict_fn", "output_fn")
                if self._functions[name] is not None
            ]
            if beside:
                raise StartupError(
                    f"{self.file}: cannot use transform_fn implementation in conjunction with "
                    "input_fn, predict_fn, and/or output_fn implementation, "
                    f"got {', '.join(beside)}"
                )

    def __getitem__(self, name: str) -> Callable[..., Any] | None:
        return self._functions[name]

    def absence(self, name: str) -> str:
        """Where ``name`` was looked for in vain."""
        if self.file is None:
            return f"there is no entry point (code/{DEFAULT_PROGRAM}, or SAGEMAKER_PROGRAM)"
        return f"{self.file} does not define {name}"

    def require(self, name: str, stack: str) -> Callable[..., Any]:
        """The function, which this stack has no default for."""
        function = self._functions[name]
        if function is None:
            raise StartupError(
                f"{self.absence(name)}, and the {stack} container has no default for it"
            )
        return function
