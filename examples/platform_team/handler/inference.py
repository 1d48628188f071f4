"""Answer with the sum of each row.

Request   application/json  [[float, ...], ...n]
Response  application/json  [float, ...n]
"""

from __future__ import annotations

import json


def model_fn(model_dir: str) -> None:
    return None


def input_fn(body: str, content_type: str) -> list[list[float]]:
    rows: list[list[float]] = json.loads(body)
    return rows


def predict_fn(rows: list[list[float]], model: None) -> list[float]:
    return [sum(row) for row in rows]


def output_fn(sums: list[float], accept: str) -> tuple[str, str]:
    return json.dumps(sums), "application/json"
