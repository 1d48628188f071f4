"""What holds for every handler, whichever model it serves."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model_code import digit_reader, photo_themes, regional_prices, summarizer, tumor_screening
from model_code.handler import Handler

if TYPE_CHECKING:
    from tests.unit.model_code.conftest import Container

HANDLERS = {
    "tumor_screening.preprocess": tumor_screening.PREPROCESS,
    "tumor_screening.classify": tumor_screening.CLASSIFY,
    "tumor_screening.report": tumor_screening.REPORT,
    "tumor_screening.single": tumor_screening.SINGLE,
    "regional_prices.features": regional_prices.FEATURES,
    "regional_prices.estimate": regional_prices.ESTIMATES["austin-tx"],
    "regional_prices.price": regional_prices.PRICE,
    "digit_reader.reader": digit_reader.READER,
    "photo_themes.gate": photo_themes.GATE,
    "photo_themes.recognize": photo_themes.RECOGNIZE,
    "photo_themes.themes": photo_themes.THEMES,
    "summarizer.extractive": summarizer.EXTRACTIVE,
}
CONTAINERS_HAVE = {"numpy", "xgboost", "sagemaker_containers", "torch", "transformers"}
# Imported where they are needed and done without where they are not installed.
OPTIONAL = {"PIL"}
# The oldest interpreter of AWS's scikit-learn and XGBoost images that the handlers are meant for.
OLDEST_PYTHON = (3, 9)


@pytest.fixture(params=list(HANDLERS.values()), ids=list(HANDLERS))
def handler(request: pytest.FixtureRequest) -> Handler:
    assert isinstance(request.param, Handler)
    return request.param


def sources(handler: Handler) -> list[Path]:
    return [*handler.code.glob("*.py"), *handler.shared]


def imports(source: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source} imports relatively, but code/ is no package"
            assert node.module is not None
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)


def test_a_handler_parses_under_the_oldest_python_it_is_meant_for(handler: Handler) -> None:
    for source in sources(handler):
        ast.parse(source.read_text(), feature_version=OLDEST_PYTHON)


def test_a_handler_imports_its_siblings_and_what_its_container_has(handler: Handler) -> None:
    container_has = CONTAINERS_HAVE | OPTIONAL | sys.stdlib_module_names
    siblings = {source.stem for source in sources(handler)}

    for source in sources(handler):
        assert set(imports(source)) <= container_has | siblings, source


def test_a_handler_ships_no_module_it_does_not_use(handler: Handler) -> None:
    used = {name for source in sources(handler) for name in imports(source)}

    assert {source.stem for source in handler.shared} <= used


def test_handlers_with_modules_of_one_name_do_not_mix(
    container: Callable[[Handler], Container],
) -> None:
    first = container(tumor_screening.PREPROCESS)
    second = container(tumor_screening.REPORT)

    assert first.invoke("1", "text/csv").status == 400
    assert second.invoke("1", "text/csv").status == 415
    assert "inference" not in sys.modules
