"""A multi-model container: the process that loads models, each into a process of its own.

It speaks the container API of multi-model endpoints: ``POST /models`` forks a process that imports
the model's handler and loads it, ``DELETE /models/{name}`` ends that process, so that its memory is
free. Each model answers on a socket of its own, named in the answers here (``modelSocket``); a
request that is sent here nevertheless is relayed.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/mms-container-apis.html; messages as Multi
Model Server has them.
"""

from __future__ import annotations

import _socket
import contextlib
import gc
import json
import os
import select
import signal
import sys
import time
from urllib.parse import parse_qs, unquote

from . import lifeline
from .libraries import Libraries
from .message import Answer, Head
from .model_process import IMPORTED, INSUFFICIENT_STORAGE, LOADED, Report, serve_model
from .mounts import narrow
from .process_log import log, log_exception
from .server import Connection, Server
from .startup import install_toolkits
from .warm_up import WarmUp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from .message import Body
    from .startup import Arguments

_HOST = os.path.dirname(os.path.abspath(__file__))
_PAGE = 100
# Every stack decodes requests into NumPy's arrays.
_ALWAYS_IMPORTED = {
    "scikit-learn": ("numpy",),
    "xgboost": ("numpy", "xgboost"),
    "pytorch": ("numpy",),
    "inference": ("numpy",),
    "huggingface": ("numpy",),
}
# The first model teaches which libraries to import ahead; the others wait for it, up to a time.
_FIRST_MODEL_PATIENCE_S = 10.0


class _Model:
    """A model and its process."""

    def __init__(self, name: str, url: str, socket_path: str) -> None:
        self.name = name
        self.url = url
        self.socket_path = socket_path
        self.pid = 0
        self.scouted = self.retried = False
        self.loaded = False
        self.memory_bytes = 0
        self.started_s = 0.0
        self.report = -1
        self.reported = b""
        # whoever asked for it and has no answer yet
        self.client: _socket.socket | None = None
        self.head: Head | None = None

    def describe(self) -> dict[str, object]:
        return {
            "modelName": self.name,
            "modelUrl": self.url,
            "modelSocket": self.socket_path,
            "modelProcess": self.pid,
            "memoryBytes": self.memory_bytes,
        }


class ModelHost(Server):
    """Answers the container API until the process ends."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._models: dict[str, _Model] = {}
        self._by_pid: dict[int, _Model] = {}
        self._waiting: list[_Model] = []
        self._learned = False
        self._numbers = 0
        self._libraries = Libraries()
        install_toolkits(arguments.stack, multi_model=True)
        self._libraries.preload(_ALWAYS_IMPORTED[arguments.stack])
        self._warm_up = WarmUp()
        self._warm_up.run()
        # The other end is open in this process alone: models end when it does.
        self._model_lifeline, self._held_open = os.pipe()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        gc.collect()
        gc.freeze()
        super().__init__(arguments.socket, _no_handler)

    def serve(self) -> NoReturn:
        """Accept and answer for ever."""
        listener = self._listener.fileno()
        self._poll = poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        self._connections: dict[int, Connection] = {}
        self._reports: dict[int, _Model] = {}
        while True:
            for descriptor, _ in poll.poll(1000 if self._waiting else None):
                if descriptor == listener:
                    accepted = self._accept()
                    if accepted is not None:
                        self._connections[accepted.fileno()] = Connection(accepted)
                        poll.register(accepted.fileno(), select.POLLIN)
                elif descriptor == self._woken:
                    self._reap()
                elif descriptor in self._reports:
                    self._read_report(self._reports[descriptor])
                elif descriptor in self._connections:
                    self._advance(descriptor)
            self._start_waiting()

    def _advance(self, descriptor: int) -> None:
        connection = self._connections[descriptor]
        try:
            alive = connection.advance(self)
        except OSError:  # the client left
            alive = False
        if not alive:
            self._poll.unregister(descriptor)
            del self._connections[descriptor]
            connection.socket.close()

    # -- requests

    def answer(self, client: _socket.socket, head: Head, body: Body) -> bool:
        """Answer, or begin what will; True when the connection stays open."""
        parts = [unquote(part) for part in head.path.split("/")[1:]]
        request = (head.method, *parts)
        if request == ("POST", "models"):
            return self._load(client, head, body)
        if len(parts) == 3 and request[:2] == ("POST", "models") and parts[2] == "invoke":
            model = self._models.get(parts[1])
            if model is not None and model.loaded:
                self._relay(client, head, body, model)
                return False  # the connection is the relaying process's now
            return _send(client, head, _not_found(parts[1]))
        return _send(client, head, self._inform(head, parts))

    def _inform(self, head: Head, parts: list[str]) -> Answer:
        """What needs neither a new process nor a wait."""
        method = head.method
        if parts == ["ping"] and method in {"GET", "HEAD"}:
            return Answer(b"", None)
        if parts == ["models"] and method == "GET":
            return self._list(head)
        if len(parts) == 2 and parts[0] == "models" and method in {"GET", "DELETE"}:
            return self._one(method, parts[1])
        if parts[0] in {"ping", "models"} and len(parts) <= 3:
            return _error(405, "MethodNotAllowedException", f"{head.path} refuses {method}")
        return _error(404, "ResourceNotFoundException", f"not found: {head.path}")

    def _one(self, method: str, name: str) -> Answer:
        model = self._models.get(name)
        if model is None:
            return _not_found(name)
        if method == "GET":
            return _json(200, model.describe())
        self._unload(model)
        return _json(200, {"status": f'Model "{name}" unregistered'})

    def _list(self, head: Head) -> Answer:
        """One page of the models, sorted by name; its token is the position of the next."""
        token = parse_qs(head.query).get("next_page_token", ["0"])[0]
        if not token.isdecimal():
            message = f"next_page_token must be a number, got {token!r}"
            return _error(400, "BadRequestException", message)
        start = int(token)
        names = sorted(name for name, model in self._models.items() if model.loaded)
        page: dict[str, object] = {
            "models": [self._models[name].describe() for name in names[start : start + _PAGE]]
        }
        if start + _PAGE < len(names):
            page["nextPageToken"] = str(start + _PAGE)
        return _json(200, page)

    # -- loading

    def _load(self, client: _socket.socket, head: Head, body: Body) -> bool:
        try:
            request = json.loads(bytes(body))
            name, url = request["model_name"], request["url"]
        except (ValueError, KeyError, TypeError):
            message = "the body must be JSON with model_name and url"
            return _send(client, head, _error(400, "BadRequestException", message))
        if not isinstance(name, str) or not name or "/" in name:
            message = f"model_name must be a name without /, got {name!r}"
            return _send(client, head, _error(400, "BadRequestException", message))
        if name in self._models:
            message = f"Model {name} is already registered."
            return _send(client, head, _error(409, "ConflictStatusException", message))
        if not isinstance(url, str) or not os.path.isdir(url):
            message = f"url must be a folder, got {url!r}"
            return _send(client, head, _error(404, "ModelNotFoundException", message))
        limit = self._arguments.memory_bytes
        if limit is not None and self._used_bytes() >= limit:
            return _send(client, head, _no_memory(name, self._used_bytes(), limit, 0))
        self._numbers += 1
        socket_path = f"{self._arguments.socket_prefix}{self._numbers:x}"
        model = self._models[name] = _Model(name, os.path.abspath(url), socket_path)
        model.client, model.head = client, head
        self._waiting.append(model)
        return True

    def _start_waiting(self) -> None:
        """Start the processes of models; before the first is loaded, one at a time."""
        while self._waiting:
            loading = [model.started_s for model in self._by_pid.values() if not model.loaded]
            if (
                not self._learned
                and loading
                and time.monotonic() - max(loading) < _FIRST_MODEL_PATIENCE_S
            ):
                return
            self._fork(self._waiting.pop(0))

    def _fork(self, model: _Model) -> None:
        report, tell = os.pipe()
        model.started_s = time.monotonic()
        alone = self._libraries.shadowed_by(_module_folders(model.url)) is not None
        try:
            pid = os.fork()
        except OSError as error:  # no process or memory is left
            os.close(report)
            os.close(tell)
            self._fail(model, INSUFFICIENT_STORAGE, f"no process for the model: {error.strerror}")
            return
        if pid == 0:
            os.close(report)
            self._become(model, tell, alone=alone)
        os.close(tell)
        os.set_blocking(report, False)
        with contextlib.suppress(OSError):  # it has done so itself, or has ended
            os.setpgid(pid, pid)
        model.pid, model.report = pid, report
        self._by_pid[pid] = model
        self._reports[report] = model
        self._poll.register(report, select.POLLIN)

    def _become(self, model: _Model, tell: int, *, alone: bool) -> NoReturn:
        """In the new process: let go of what belongs to this one, and serve the model.

        ``alone``: with nothing that this process has imported.
        """
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setpgid(0, 0)
            for descriptor in (self._held_open, self._woken, self._wake):
                os.close(descriptor)
            self._listener.close()
            for connection in self._connections.values():
                connection.socket.close()
            for descriptor in self._reports:
                os.close(descriptor)
            arguments = self._arguments
            if arguments.models_dir is not None:
                model.url = narrow(arguments.models_dir, model.url)
            if alone:
                self._exec(model, tell)
            lifeline.watch(self._model_lifeline)
            _reseed()
            serve_model(
                arguments.stack,
                model.url,
                model.socket_path,
                Report(tell),
                libraries=self._libraries,
                scout=not model.scouted,
            )
        except BaseException:
            log_exception("the process of a model failed")
            raise
        finally:
            os._exit(70)  # an error must not run on as a second host

    def _exec(self, model: _Model, tell: int) -> NoReturn:
        for descriptor in (tell, self._model_lifeline):
            os.set_inheritable(descriptor, True)
        command = [sys.executable, "-X", "faulthandler", _HOST, "--socket", model.socket_path]
        command += ["--stack", self._arguments.stack, "--model-dir", model.url]
        command += ["--lifeline-fd", str(self._model_lifeline), "--report-fd", str(tell)]
        os.execv(sys.executable, command)  # noqa: S606 - ourselves

    def _read_report(self, model: _Model) -> None:
        try:
            data = os.read(model.report, 65_536)
        except BlockingIOError:
            return
        model.reported += data
        if data and not data.endswith(b"\n"):
            return
        self._close_report(model)
        if not data:
            return  # it has ended without a word; its exit code says more
        report = json.loads(model.reported)
        model.reported = b""
        status = report["status"]
        if status not in {LOADED, IMPORTED}:
            self._end(model)
            self._fail(model, status, report["message"])
            return
        modules = report["modules"]
        # Libraries that only the model's file imports have come with it; shared, it may fit.
        again = bool(modules) and not model.retried and self._exceeds(report.get("memoryBytes"))
        if status == LOADED and not again:
            self._measure(model, report["memoryBytes"])
        else:
            self._end(model)
            model.scouted, model.retried = True, again
            self._waiting.insert(0, model)
        self._learn(modules)

    def _learn(self, modules: list[str]) -> None:
        self._learned = True
        if modules:
            self._libraries.preload(modules)
            self._warm_up.run()
            gc.collect()
            gc.freeze()

    def _measure(self, model: _Model, memory_bytes: int | None) -> None:
        """Answer whoever asked for the model: it is loaded, or is too large."""
        model.memory_bytes = 0 if memory_bytes is None else memory_bytes
        limit, used = self._arguments.memory_bytes, self._used_bytes()
        if limit is not None and self._exceeds(memory_bytes):
            self._end(model)
            self._answer(model, _no_memory(model.name, used, limit, model.memory_bytes))
            del self._models[model.name]
            return
        model.loaded = True
        answer = {"status": f'Model "{model.name}" registered', **model.describe()}
        self._answer(model, _json(200, answer))

    def _exceeds(self, memory_bytes: int | None) -> bool:
        """Whether there is no room for so much beside what is loaded."""
        limit = self._arguments.memory_bytes
        if limit is None or memory_bytes is None:
            return False
        return self._used_bytes() + memory_bytes > limit

    def _used_bytes(self) -> int:
        return sum(model.memory_bytes for model in self._models.values() if model.loaded)

    def _fail(self, model: _Model, status: int, message: str) -> None:
        self._models.pop(model.name, None)
        self._answer(model, _error(status, "InternalServerException", message))

    def _answer(self, model: _Model, answer: Answer) -> None:
        client, head = model.client, model.head
        model.client = model.head = None
        if client is not None and head is not None:
            with contextlib.suppress(OSError):  # the client left meanwhile
                _send(client, head, answer)

    # -- ending

    def _unload(self, model: _Model) -> None:
        del self._models[model.name]
        if model in self._waiting:
            self._waiting.remove(model)
        self._end(model)
        self._answer(
            model, _error(500, "InternalServerException", f"Model {model.name} was unregistered.")
        )

    def _end(self, model: _Model) -> None:
        """End a model's process and wait until its memory is free."""
        self._close_report(model)
        if self._by_pid.pop(model.pid, None) is not None:
            _kill_group(model.pid)
            os.waitpid(model.pid, 0)
        with contextlib.suppress(OSError):
            os.unlink(model.socket_path)

    def _close_report(self, model: _Model) -> None:
        if model.report >= 0:
            self._poll.unregister(model.report)
            del self._reports[model.report]
            os.close(model.report)
            model.report = -1

    def _reap(self) -> None:
        """Forget models whose process has ended by itself."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            model = self._by_pid.pop(pid, None)
            if model is None:
                continue  # a relay
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # what it has left behind
            if model.report >= 0:
                self._read_report(model)  # what it has said last
            code = os.waitstatus_to_exitcode(status)
            how = f"exited with code {code}" if code >= 0 else f"was killed by signal {-code}"
            log(f"the process of model {model.name} {how}")
            self._end(model)
            self._fail(model, 500, f"the process of model {model.name} {how} while it loaded")

    # -- relaying

    def _relay(self, client: _socket.socket, head: Head, body: Body, model: _Model) -> None:
        """Hand a request to a process that waits for the model, so that this one need not."""
        if os.fork() != 0:
            return
        try:
            signal.set_wakeup_fd(-1)
            upstream = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            upstream.connect(model.socket_path)
            lines = [f"POST /models/{model.name}/invoke HTTP/1.1", "Connection: close"]
            lines += [f"{k}: {v}" for k, v in head.sent.items() if k.lower() != "connection"]
            upstream.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + bytes(body))
            while data := upstream.recv(262_144):
                client.sendall(data)
        except OSError as error:
            log(f"a request for model {model.name} could not be relayed: {error}")
        finally:
            os._exit(0)


def _no_handler(*_: object) -> NoReturn:
    raise AssertionError("models answer in processes of their own")


def _module_folders(model_dir: str) -> list[str]:
    """Where a model's handler may import its own modules from."""
    folders = [os.path.join(model_dir, "code"), model_dir]
    submitted = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    return [*folders, submitted] if os.path.isdir(submitted) else folders


def _reseed() -> None:
    """Give this process random numbers of its own; the standard library does so by itself."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed(int.from_bytes(os.urandom(4), "little"))


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # no group yet, or no member any more
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _send(client: _socket.socket, head: Head, answer: Answer) -> bool:
    body = answer.body
    assert isinstance(body, bytes)
    framing = f"Content-Length: {len(body)}"
    data = answer.head(framing, keep_alive=head.keep_alive)
    client.sendall(data if head.method == "HEAD" else data + body)
    return head.keep_alive


def _json(status: int, document: dict[str, object]) -> Answer:
    return Answer(json.dumps(document).encode(), "application/json", status)


def _error(status: int, kind: str, message: str) -> Answer:
    return _json(status, {"code": status, "type": kind, "message": message})


def _not_found(name: str) -> Answer:
    return _error(404, "ModelNotFoundException", f"Model not found: {name}")


def _no_memory(name: str, used: int, limit: int, needed: int) -> Answer:
    message = (
        f"Model {name} needs {needed} bytes of memory; models may have {limit}, and those loaded"
        f" have {used}"
        if needed
        else f"Models may have {limit} bytes of memory, and those loaded have {used}"
    )
    return _json(
        INSUFFICIENT_STORAGE,
        {
            "code": INSUFFICIENT_STORAGE,
            "type": "InsufficientStorageException",
            "message": message,
            "memoryBytes": needed,
        },
    )
