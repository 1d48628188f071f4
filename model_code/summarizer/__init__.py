"""Summarise long articles: by extraction on a laptop, by a PEGASUS model where one is given.

One handler serves both; what the archive holds decides. ``EXTRACTIVE`` needs NumPy alone. A folder
with a model is made by ``build`` and served by ``generative(folder)``.
"""

from __future__ import annotations

from pathlib import Path

from model_code.handler import Handler

_HERE = Path(__file__).parent
_SHARED = (
    _HERE.parent / "shared" / "exchange.py",
    _HERE / "shared" / "article.py",
    _HERE / "shared" / "textrank.py",
    _HERE / "shared" / "seq2seq.py",
)

EXTRACTIVE = Handler(
    code=_HERE / "summarize", shared=_SHARED, model_files=_HERE / "artifacts" / "textrank"
)


def generative(model: Path) -> Handler:
    """Serve a folder of Hugging Face: configuration, tokenizer and safetensors."""
    return EXTRACTIVE._replace(model_files=model)
