"""What the handler host may ask of the interpreter it runs under."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tests.unit.handler_host.conftest import Serve

FOLDER = Path(__file__).parents[3] / "local_runtime" / "handler_host"
SOURCES = sorted(FOLDER.rglob("*.py"))
# imported inside the functions that need them, when the handler's interpreter has them
OPTIONAL = {
    "numpy",
    "scipy",
    "sklearn",
    "xgboost",
    "torch",
    "transformers",
    "huggingface_hub",
    "PIL",
}


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_the_source_is_python_3_9(source: Path) -> None:
    ast.parse(source.read_text(), feature_version=(3, 9))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_the_standard_library_is_enough_to_import_it(source: Path) -> None:
    tree = ast.parse(source.read_text())
    at_import = ast.Module(
        [n for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom))], []
    )

    assert imported(at_import) <= set(sys.stdlib_module_names)
    assert imported(tree) <= set(sys.stdlib_module_names) | OPTIONAL


def test_a_trivial_handler_is_served_without_slow_imports(serve: Serve) -> None:
    host = serve(
        "scikit-learn",
        """
        import sys
        def model_fn(model_dir): return None
        def transform_fn(model, body, content_type, accept):
            slow = {"typing", "re", "socket", "logging", "json", "inspect", "threading", "asyncio"}
            return " ".join(sorted(slow & set(sys.modules)))
        """,
    )

    assert host.invoke().text == ""
