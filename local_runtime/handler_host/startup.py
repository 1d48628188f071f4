"""Arguments, the order of start-up, and how the process ends."""

from __future__ import annotations

import gc
import os
import sys

from .entry_point import (
    HandlerFunctions,
    StartupError,
    find_entry_point,
    prepare_environment,
)
from .message import Answer, text_answer
from .process_log import FLASK_FORMAT, PLAIN_FORMAT, LoggingSetup, log, log_exception
from .readiness import Readiness
from .server import Server
from .toolkits import ToolkitFinder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn, Protocol

    from .message import Body, Head

    class Stack(Protocol):
        """A serving container: what it does with a request depends on the toolkit it imitates."""

        def invoke(self, head: Head, body: Body) -> Answer:
            """Answer ``POST /invocations``."""

        def execution_parameters(self) -> Answer:
            """Answer ``GET /execution-parameters``."""


STACKS = ("scikit-learn", "xgboost", "pytorch", "inference", "huggingface")
_FLASK_STACKS = frozenset({"scikit-learn", "xgboost"})

_USAGE = (
    "usage: python handler_host --socket PATH --stack STACK --model-dir DIR "
    "[--lifeline-fd N] [--ready-fd N]\n"
    "       python handler_host --multi-model --socket PATH --stack STACK --socket-prefix PATH "
    "[--memory-bytes N] [--models-dir DIR] [--lifeline-fd N]"
)
_PREFIX = "--socket-prefix"
# --report-fd is for a model's process that the multi-model container starts anew.
_VALUED = frozenset(
    {"--socket", "--stack", "--model-dir", "--lifeline-fd", "--report-fd", "--memory-bytes"}
    | {_PREFIX, "--models-dir", "--ready-fd"}
)
UNIX_PATH_BYTES = 107
EXIT_START_FAILED = 1
EXIT_USAGE = 2


class Arguments:
    """The command line; argparse would double the time to start."""

    def __init__(self, arguments: list[str]) -> None:
        values: dict[str, str] = {}
        remaining = iter(arguments)
        self.multi_model = False
        for name in remaining:
            if name == "--multi-model":
                self.multi_model = True
            elif name in _VALUED:
                value = next(remaining, None)
                if value is None:
                    raise ValueError(f"{name} needs a value")
                values[name] = value
            else:
                raise ValueError(f"unknown argument {name}")
        for name in ("--socket", "--stack", _PREFIX if self.multi_model else "--model-dir"):
            if name not in values:
                raise ValueError(f"{name} is missing")
        self.socket = os.path.abspath(values["--socket"])
        if len(os.fsencode(self.socket)) > UNIX_PATH_BYTES:
            raise ValueError(
                f"--socket may have {UNIX_PATH_BYTES} bytes, the kernel's limit, got {self.socket}"
            )
        self.stack = values["--stack"]
        if self.stack not in STACKS:
            raise ValueError(f"--stack must be one of {', '.join(STACKS)}, got {self.stack}")
        self.model_dir = os.path.abspath(values.get("--model-dir", "."))
        if not os.path.isdir(self.model_dir):
            raise ValueError(f"--model-dir must be a folder, got {values['--model-dir']}")
        # Each model is to see no other one's folder in this one.
        self.models_dir = values.get("--models-dir")
        self.socket_prefix = os.path.abspath(values.get(_PREFIX, self.socket))
        self.lifeline = _number(values, "--lifeline-fd")
        self.report = _number(values, "--report-fd")
        self.ready = _number(values, "--ready-fd")
        self.memory_bytes = _number(values, "--memory-bytes")


def _number(values: dict[str, str], name: str) -> int | None:
    value = values.get(name)
    if value is not None and not value.isdigit():
        kind = "a descriptor's number" if name.endswith("-fd") else "a number of bytes"
        raise ValueError(f"{name} must be {kind}, got {value}")
    return None if value is None else int(value)


def main(arguments: list[str]) -> NoReturn:
    """Load the handler, then serve it until the process ends."""
    try:
        parsed = Arguments(arguments)
    except ValueError as error:
        log(f"{error}\n{_USAGE}")
        sys.exit(EXIT_USAGE)
    if parsed.lifeline is not None:
        from . import lifeline  # noqa: PLC0415

        lifeline.watch(parsed.lifeline)
    _flush_every_line()
    if parsed.multi_model:
        from .model_host import ModelHost  # noqa: PLC0415

        ModelHost(parsed).serve()
    if parsed.report is not None:
        from .model_process import Report, serve_model  # noqa: PLC0415

        serve_model(parsed.stack, parsed.model_dir, parsed.socket, Report(parsed.report))
    readiness = None if parsed.ready is None else Readiness(parsed.ready)
    try:
        stack = _load(parsed.stack, parsed.model_dir)
    except StartupError as error:
        log(f"the handler cannot be served: {error}")
        sys.exit(EXIT_START_FAILED)
    except Exception:
        log_exception("the handler failed while it was loaded")
        sys.exit(EXIT_START_FAILED)
    except SystemExit as error:
        log(f"the handler ended the process while it was loaded (exit code {error.code})")
        sys.exit(EXIT_START_FAILED)
    # What is loaded stays: collections need not walk through it again and again.
    gc.freeze()
    server = Server(parsed.socket, _routes(stack))
    if readiness is not None:
        readiness.tell()
    try:
        server.serve()
    except SystemExit as error:
        log(f"the handler ended the process while it answered (exit code {error.code})")
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    raise AssertionError("the server returned")


def _flush_every_line() -> None:
    """Let printed lines reach the log at once; a worker may be killed at any time."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def load_model(name: str, model_dir: str, imported: Callable[[], None]) -> Stack:
    """One model of a multi-model container, where Multi Model Server runs every handler.

    ``imported`` is called between the import of the handler and its ``model_fn``.
    """
    return _load(name, model_dir, imported)


def _load(name: str, model_dir: str, imported: Callable[[], None] | None = None) -> Stack:
    multi_model = imported is not None
    environ = os.environ
    if name == "huggingface" and environ.get("HF_MODEL_ID"):
        from .huggingface_stack import download_model  # noqa: PLC0415

        model_dir = download_model(environ)
    entry = find_entry_point(model_dir, environ)
    prepare_environment(model_dir, environ)
    sys.argv = [model_dir if entry is None else entry.file]
    if not any(isinstance(finder, ToolkitFinder) for finder in sys.meta_path):
        install_toolkits(name, multi_model=multi_model)
    if entry is None and name == "xgboost":
        from .xgboost_algorithm import XGBoostAlgorithm  # noqa: PLC0415

        return XGBoostAlgorithm(model_dir, environ)
    functions = HandlerFunctions(entry)
    if imported is not None:
        imported()
    if name in _FLASK_STACKS and not multi_model:
        from .flask_stack import FlaskStack, ScikitLearnDefaults, XGBoostDefaults  # noqa: PLC0415

        flask_defaults = XGBoostDefaults() if name == "xgboost" else ScikitLearnDefaults()
        return FlaskStack(functions, flask_defaults, model_dir, environ)
    if name == "huggingface":
        from .huggingface_stack import HuggingFaceStack  # noqa: PLC0415

        return HuggingFaceStack(functions, model_dir, environ)
    from .inference_stack import InferenceStack  # noqa: PLC0415

    if name in _FLASK_STACKS:
        from .toolkits.multi_model_defaults import defaults_of  # noqa: PLC0415

        return InferenceStack(functions, defaults_of(name), model_dir, environ)
    from .toolkits.defaults import (  # noqa: PLC0415
        DefaultInferenceHandler,
        DefaultPytorchInferenceHandler,
    )

    defaults = DefaultPytorchInferenceHandler() if name == "pytorch" else DefaultInferenceHandler()
    return InferenceStack(functions, defaults, model_dir, environ)


def install_toolkits(stack: str, *, multi_model: bool) -> None:
    """Let handlers find what AWS's images have installed, and log as it is set up there."""
    ToolkitFinder.install()
    LoggingSetup(
        FLASK_FORMAT if stack in _FLASK_STACKS and not multi_model else PLAIN_FORMAT,
        int(os.environ.get("SAGEMAKER_CONTAINER_LOG_LEVEL", "20")),
    ).install()


def _routes(stack: Stack) -> Callable[[Head, Body], Answer]:
    """The container contract's paths."""
    invoke = stack.invoke

    def respond(head: Head, body: Body) -> Answer:
        if head.path == "/invocations":
            if head.method == "POST":
                return invoke(head, body)
            allowed = "POST"
        elif head.path in {"/ping", "/execution-parameters"}:
            if head.method in {"GET", "HEAD"}:
                return Answer(b"", None) if head.path == "/ping" else stack.execution_parameters()
            allowed = "GET"
        else:
            return text_answer(404, f"not found: {head.path}")
        answer = text_answer(405, f"{head.path} answers {allowed}, got {head.method}")
        answer.headers = [("Allow", allowed)]
        return answer

    return respond
