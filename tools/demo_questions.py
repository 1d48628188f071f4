"""What the demo asks each deployed endpoint, and how it judges the answer."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODEL_CODE = Path(__file__).parent.parent / "model_code"

_ROWS = 5
# A city's model is off by 10 percent or so; twice the true price would be wrong.
_PRICE_FACTOR = 1.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A request, how its answer is read by a person, and whether it is right."""

    body: bytes
    content_type: str
    shown: Callable[[Any], str]
    is_right: Callable[[Any], bool]
    accept: str = "application/json"
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The request as a summary may hold it."""
        try:
            return self.body.decode()
        except UnicodeDecodeError:
            return f"{len(self.body)} bytes of {self.content_type}"


def question_for(kind: str) -> Question:
    """The question for an endpoint whose stack output starts with ``kind``.

    Raises:
        ValueError: nobody has thought of one.
    """
    for prefix, ask in _QUESTIONS.items():
        if kind.startswith(prefix):
            return ask()
    raise ValueError(f"kind must start with one of {', '.join(_QUESTIONS)}, got {kind!r}")


def _tumours() -> Question:
    """Measurements that training did not see, without their labels."""
    with (MODEL_CODE / "tumor_screening/artifacts/holdout.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:_ROWS]
    truth = [row.pop("label") for row in rows]
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]

    def is_right(answer: list[dict[str, Any]]) -> bool:
        labels = [finding["label"] for finding in answer]
        hits = sum(label == true for label, true in zip(labels, truth, strict=True))
        return bool(hits >= _ROWS - 1)

    return Question(
        body=("\n".join(lines) + "\n").encode(),
        content_type="text/csv",
        shown=lambda answer: f"{answer[0]['label']}, probability {answer[0]['probability']:.3f}",
        is_right=is_right,
    )


def _house() -> Question:
    """A house that training did not see, in the city that the target model names."""
    with (MODEL_CODE / "regional_prices/artifacts/holdout.csv").open(newline="") as file:
        house = next(csv.DictReader(file))
    city, price = house.pop("target_model"), float(house.pop("price_usd"))
    return Question(
        body=f"{','.join(house)}\n{','.join(house.values())}\n".encode(),
        content_type="text/csv",
        arguments={"TargetModel": f"{city}.tar.gz"},
        shown=lambda answer: f"{answer[0]['city']}: {answer[0]['price']}",
        is_right=lambda answer: (
            price / _PRICE_FACTOR < answer[0]["price_usd"] < price * _PRICE_FACTOR
        ),
    )


def _average_house() -> Question:
    """The average house, as the step before a city's model would describe it: all zeros."""
    model = next((MODEL_CODE / "regional_prices/artifacts/estimate/austin-tx").glob("*.json"))
    regression = json.loads(model.read_text())
    body = {"instances": [dict.fromkeys(regression["features"], 0.0)]}
    return Question(
        body=json.dumps(body).encode(),
        content_type="application/json",
        arguments={"TargetModel": "austin-tx.tar.gz"},
        shown=lambda answer: f"{answer['city']}: ${math.exp(answer['log_price'][0]):,.0f}",
        is_right=lambda answer: math.isclose(
            answer["log_price"][0], regression["intercept"], rel_tol=1e-6
        ),
    )


def _digit() -> Question:
    return Question(
        body=(MODEL_CODE / "digit_reader/artifacts/samples/7.png").read_bytes(),
        content_type="image/png",
        shown=lambda answer: (
            f"a {answer['predictions'][0]['digit']},"
            f" probability {answer['predictions'][0]['probability']:.3f}"
        ),
        is_right=lambda answer: answer["predictions"][0]["digit"] == 7,
    )


def _article() -> Question:
    body = (MODEL_CODE / "summarizer/artifacts/samples/article.json").read_bytes()
    article = json.loads(body)["inputs"]

    def summary(answer: Any) -> str:
        first = answer[0] if isinstance(answer, list) else answer
        return str(first["summary_text"])

    return Question(
        body=body,
        content_type="application/json",
        shown=lambda answer: f"{summary(answer)[:60]}…",
        is_right=lambda answer: 0 < len(summary(answer)) < len(article) / 2,
    )


# By the beginning of a stack output's key, the longer before the shorter.
_QUESTIONS: dict[str, Callable[[], Question]] = {
    "PipelineMultiModel": _house,
    "MultiModel": _average_house,
    "RealTimeComparison": _digit,
    "ServerlessComparison": _digit,
    "AsyncComparison": _digit,
    "Pipeline": _tumours,
    "RealTime": _tumours,
    "Serverless": _digit,
    "Async": _article,
}
