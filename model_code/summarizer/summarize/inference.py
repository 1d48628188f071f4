"""Summarise articles.

AWS's Hugging Face image. There every exception is answered with 400 and its text, and a str is
answered with the content type that was accepted.

Request   text/plain        one article
          application/json  {"inputs": str or [str, ...n], "parameters": {"max_words": int}};
                            without parameters, 120 words
Response  application/json  [{"summary_text": str, "method": "textrank" or the model's kind such as
                            "pegasus", "words": int, "of_words": int, "chunks": int}, ...n]
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import textrank
from article import sentences, words
from exchange import JSON, Refused, media_type, negotiate, text, unsupported

if TYPE_CHECKING:
    from collections.abc import Callable

_TEXT = "text/plain"
_DEFAULT_WORDS = 120
_MOST_WORDS = 1000


class Summarizer(NamedTuple):
    """A way to summarise.

    Args:
        method: its name in the answer.
        summarize: makes a summary of sentences, of about as many words; tells in how many chunks.
    """

    method: str
    summarize: Callable[[list[str], int], tuple[str, int]]


class Task(NamedTuple):
    articles: list[str]
    max_words: int


def model_fn(model_dir: str) -> Summarizer:
    if Path(model_dir, "config.json").is_file():
        import seq2seq  # noqa: PLC0415 - transformers and torch are large and need not be there

        generator = seq2seq.load(model_dir)
        return Summarizer(
            generator.method,
            lambda parts, max_words: seq2seq.generate(parts, generator, max_words=max_words),
        )
    extractor = textrank.load(model_dir)
    return Summarizer(
        "textrank",
        lambda parts, max_words: (textrank.extract(parts, extractor, max_words=max_words), 1),
    )


def input_fn(body: str | bytes, content_type: str) -> Task:
    kind = media_type(content_type)
    if kind == _TEXT:
        return _task([text(body)], _DEFAULT_WORDS)
    if kind != JSON:
        raise unsupported(content_type, (JSON, _TEXT))
    try:
        document = json.loads(text(body))
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body must be JSON: {error}") from error
    if not isinstance(document, dict) or "inputs" not in document:
        raise Refused('the body must be {"inputs": str or [str, ...]}')
    inputs = document["inputs"]
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict) or parameters.keys() - {"max_words"}:
        raise Refused('parameters must be {"max_words": int}')
    return _task(
        inputs if isinstance(inputs, list) else [inputs],
        parameters.get("max_words", _DEFAULT_WORDS),
    )


def predict_fn(task: Task, model: Summarizer) -> list[dict[str, object]]:
    answers: list[dict[str, object]] = []
    for article in task.articles:
        summary, chunks = model.summarize(sentences(article), task.max_words)
        answers.append(
            {
                "summary_text": summary,
                "method": model.method,
                "words": len(words(summary)),
                "of_words": len(words(article)),
                "chunks": chunks,
            }
        )
    return answers


def output_fn(summaries: list[dict[str, object]], accept: str) -> str:
    negotiate(accept, (JSON,))
    return json.dumps(summaries)


def _task(articles: list[object], max_words: object) -> Task:
    if isinstance(max_words, bool) or not isinstance(max_words, int):
        raise Refused(f"max_words must be a whole number, got {max_words!r}")
    if not 1 <= max_words <= _MOST_WORDS:
        raise Refused(f"max_words must be between 1 and {_MOST_WORDS}, got {max_words}")
    if not articles:
        raise Refused("inputs must hold at least one article, got none")
    for number, article in enumerate(articles, start=1):
        if not isinstance(article, str) or not words(article):
            raise Refused(f"article {number} must be a text with words in it")
    return Task([str(article) for article in articles], max_words)
