"""Handlers laid out as in their archive, and called as their container calls them."""

from __future__ import annotations

import importlib
import shutil
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import flask
import pytest

from model_code.handler import Handler

# Modules of model_code import one another by bare name, and so do tests of them.
sys.path.append(str(Path(__file__).parents[3] / "model_code" / "shared"))


@dataclass(frozen=True)
class Answer:
    status: int
    content_type: str
    body: bytes


class Container:
    """The single-model server of AWS's scikit-learn and XGBoost images, without its sockets.

    Does what ``sagemaker_containers`` does between Flask and the handler's functions: decodes two
    exact content types, makes a response of a (body, media type) pair, leaves one as it is.
    Source: https://github.com/aws/sagemaker-containers (_transformer.py, _worker.py)
    """

    def __init__(self, module: types.ModuleType, model_dir: Path) -> None:
        self._module = module
        self._model = module.model_fn(str(model_dir))

    def invoke(self, body: str | bytes, content_type: str, accept: str = "*/*") -> Answer:
        sent = body.encode() if isinstance(body, str) else body
        is_text = content_type in {"application/json", "text/csv"}
        data = self._module.input_fn(sent.decode() if is_text else sent, content_type)
        prediction = self._module.predict_fn(data, self._model)
        answer = self._module.output_fn(
            prediction, "application/json" if accept == "*/*" else accept
        )
        if isinstance(answer, tuple):
            answer = flask.Response(response=answer[0], mimetype=answer[1])
        assert isinstance(answer, flask.Response), f"a bare {type(answer).__name__} is text/html"
        return Answer(answer.status_code, answer.headers["Content-Type"], answer.get_data())


class TextContainer:
    """The server of AWS's Hugging Face image: exceptions are its refusals, a str its answer.

    Source: https://github.com/aws/sagemaker-huggingface-inference-toolkit (handler_service.py)
    """

    def __init__(self, modules: Mapping[str, types.ModuleType], model_dir: Path) -> None:
        self.modules = modules
        self._module = modules["inference"]
        self._model = self._module.model_fn(str(model_dir))

    def invoke(self, body: str | bytes, content_type: str, accept: str = "application/json") -> str:
        sent = body.encode() if isinstance(body, str) else body
        is_text = content_type in {"application/json", "text/csv"}
        data = self._module.input_fn(sent.decode() if is_text else sent, content_type)
        answer = self._module.output_fn(self._module.predict_fn(data, self._model), accept)
        assert isinstance(answer, str)
        return answer


class Pipeline:
    """Containers in a row, as SageMaker calls them.

    The content type of one answer is, byte for byte, that of the next request; containers before
    the last see Accept ``*/*``; an answer that is not 2xx ends the request.
    """

    def __init__(self, containers: Sequence[Container]) -> None:
        self._containers = containers

    def invoke(self, body: str | bytes, content_type: str, accept: str = "*/*") -> Answer:
        answer = Answer(200, content_type, body.encode() if isinstance(body, str) else body)
        for place, container in enumerate(self._containers, start=1):
            is_last = place == len(self._containers)
            answer = container.invoke(
                answer.body, answer.content_type, accept if is_last else "*/*"
            )
            if answer.status != 200:
                break
        return answer


@pytest.fixture(scope="session")
def answer_type() -> type[Answer]:
    return Answer


@pytest.fixture(scope="session")
def assemble(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Handler], Path]:
    """Lay a handler's parts out as its archive does; returns the model directory."""

    def laid_out(handler: Handler) -> Path:
        model_dir = tmp_path_factory.mktemp(handler.code.name)
        shutil.copytree(handler.model_files, model_dir, dirs_exist_ok=True)
        shutil.copytree(
            handler.code, model_dir / "code", ignore=shutil.ignore_patterns("__pycache__")
        )
        for module in handler.shared:
            shutil.copy(module, model_dir / "code")
        return model_dir

    return laid_out


@pytest.fixture(scope="session")
def container(assemble: Callable[[Handler], Path]) -> Callable[[Handler], Container]:
    """Start a handler as its container would."""

    def started(handler: Handler) -> Container:
        model_dir = assemble(handler)
        with _on_path(model_dir / "code"):
            return Container(importlib.import_module("inference"), model_dir)

    return started


@pytest.fixture(scope="session")
def text_container(assemble: Callable[[Handler], Path]) -> Callable[[Handler], TextContainer]:
    """Start a handler as the Hugging Face container would."""

    def started(handler: Handler) -> TextContainer:
        model_dir = assemble(handler)
        code = model_dir / "code"
        with _on_path(code):
            importlib.import_module("inference")
            # A handler may import a sibling as late as in model_fn.
            served = {path.stem for path in code.glob("*.py")}
            if not (model_dir / "config.json").is_file():
                served.discard("seq2seq")
            return TextContainer(
                {name: importlib.import_module(name) for name in served}, model_dir
            )

    return started


@pytest.fixture(scope="session")
def chain() -> Callable[..., Pipeline]:
    """Put containers in a row."""
    return lambda *containers: Pipeline(containers)


@contextmanager
def _on_path(code: Path) -> Iterator[None]:
    """Import from ``code`` and leave no module of it behind: handlers share module names."""
    framework = _framework()
    names = {path.stem for path in code.glob("*.py")}.union(framework)
    # Training scripts import some of the same modules, from where they lie in the repository.
    others = {name: sys.modules.pop(name) for name in names.intersection(sys.modules)}
    sys.modules.update(framework)
    sys.path.insert(0, str(code))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(code))
        for name in names.intersection(sys.modules):
            del sys.modules[name]
        sys.modules.update(others)


def _framework() -> dict[str, types.ModuleType]:
    """``sagemaker_containers.beta.framework.worker`` as far as handlers use it.

    The package compiles C against headers that a laptop lacks, so its one class is written again.
    """
    names = (
        "sagemaker_containers",
        "sagemaker_containers.beta",
        "sagemaker_containers.beta.framework",
    )
    modules = {name: types.ModuleType(name) for name in names}
    worker = types.ModuleType("sagemaker_containers.beta.framework.worker")
    worker.__dict__["Response"] = flask.Response
    modules[names[-1]].__dict__["worker"] = worker
    return {**modules, worker.__name__: worker}
