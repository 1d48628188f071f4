"""The process of one model of a multi-model container."""

from __future__ import annotations

import gc
import json
import os
import sys

from .entry_point import StartupError
from .memory import private_bytes, thread_count
from .message import Answer, text_answer
from .process_log import log, log_exception
from .server import Server
from .startup import load_model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from .libraries import Libraries
    from .message import Body, Head
    from .startup import Stack

LOADED = 200
IMPORTED = 202
INSUFFICIENT_STORAGE = 507
_OWN_THREADS = 2  # the main one, and the lifeline's


class Report:
    """Tells the process that asked for the model how loading it went: one line of JSON."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        os.set_inheritable(descriptor, False)

    def send(self, **fields: object) -> None:
        """Send the line; there is one."""
        data = json.dumps(fields).encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]
        os.close(self._descriptor)

    def fail(self, status: int, message: str) -> NoReturn:
        """Say why there is no model, and end the process."""
        self.send(status=status, message=message)
        os._exit(1)


def serve_model(
    stack_name: str,
    model_dir: str,
    socket_path: str,
    report: Report,
    *,
    libraries: Libraries | None = None,
    scout: bool = False,
) -> NoReturn:
    """Load a model and answer requests for it until the process ends.

    Args:
        stack_name: the serving stack.
        model_dir: the model's folder.
        socket_path: of the model's own socket.
        report: is told once.
        libraries: of the process that this one was forked from; None when it was not.
        scout: end before the model is loaded, if its handler imports libraries that the other
            process has not: forked again, this one would share them.
    """
    before = len(sys.modules)

    def new_modules() -> list[str]:
        # A library that has started threads must not be imported by a process that forks.
        if libraries is None or thread_count() != _OWN_THREADS:
            return []
        return libraries.new_modules(before)

    def imported() -> None:
        if scout and (modules := new_modules()):
            report.send(status=IMPORTED, modules=modules)
            os._exit(0)

    try:
        stack = load_model(stack_name, model_dir, imported)
    except StartupError as error:
        log(f"the model cannot be served: {error}")
        report.fail(500, str(error))
    except MemoryError:
        report.fail(INSUFFICIENT_STORAGE, log_exception("there is no memory for the model"))
    except Exception as error:
        trace = log_exception("the handler failed while it was loaded")
        report.fail(500, f"{error}\n{trace}")
    except SystemExit as error:
        message = f"the handler ended the process while it was loaded (exit code {error.code})"
        log(message)
        report.fail(500, message)
    # What is loaded stays: collections need not walk through it, nor write to its pages.
    gc.freeze()
    server = Server(socket_path, _routes(stack))
    report.send(status=LOADED, memoryBytes=private_bytes(), modules=new_modules())
    try:
        server.serve()
    except SystemExit as error:
        log(f"the handler ended the process while it answered (exit code {error.code})")
        sys.stdout.flush()
        os._exit(1 if error.code is None else 2)
    raise AssertionError("the server returned")


def _routes(stack: Stack) -> Callable[[Head, Body], Answer]:
    invoke = stack.invoke

    def respond(head: Head, body: Body) -> Answer:
        if head.method == "POST" and head.path.endswith("/invoke"):
            return invoke(head, body)
        if head.path == "/ping":
            return Answer(b"", None)
        return text_answer(404, f"not found: {head.method} {head.path}")

    return respond
