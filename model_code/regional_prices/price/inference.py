"""Write estimates as prices, with the range that most sales fall into.

Last container of the pipeline; AWS's scikit-learn image, of which it needs nothing.

Request   application/json  what ``estimate`` answers
Response  application/json  [{"city": str, "price_usd": int, "low_usd": int, "high_usd": int,
                            "price": "$412,300"}, ...n]
          text/plain        "Austin, TX: $412,300 ($371,000 to $458,200)", one house a line
Refusal   400, 406 or 415   {"error": str}
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from exchange import JSON, Refused, media_type, negotiate, text, unsupported
from refusals import answers_refusals

if TYPE_CHECKING:
    from typing import Union

    Priced = list[dict[str, Union[str, int]]]

_TEXT = "text/plain"


class Rounding(NamedTuple):
    """How prices are written.

    Args:
        step_usd: prices are multiples of it.
        deviations: half the width of the range, in standard deviations of the log price.
    """

    step_usd: int
    deviations: float


class Estimate(NamedTuple):
    city: str
    log_price: list[float]
    error: float


def model_fn(model_dir: str) -> Rounding:
    return Rounding(**json.loads(Path(model_dir, "rounding.json").read_text(encoding="utf-8")))


@answers_refusals
def input_fn(body: str | bytes, content_type: str) -> Estimate:
    if media_type(content_type) != JSON:
        raise unsupported(content_type, (JSON,))
    try:
        document = json.loads(text(body))
        log_price = [float(value) for value in document["log_price"]]
        return Estimate(str(document["city"]), log_price, float(document["error"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(
            'the body must be {"city": str, "log_price": [number, ...], "error": number}: '
            f"{error!r}"
        ) from error


@answers_refusals
def predict_fn(estimate: Estimate, rounding: Rounding) -> Priced:
    margin = estimate.error * rounding.deviations
    return [
        {
            "city": estimate.city,
            "price_usd": _usd(log_price, rounding),
            "low_usd": _usd(log_price - margin, rounding),
            "high_usd": _usd(log_price + margin, rounding),
            "price": f"${_usd(log_price, rounding):,}",
        }
        for log_price in estimate.log_price
    ]


@answers_refusals
def output_fn(priced: Priced, accept: str) -> tuple[str, str]:
    if negotiate(accept, (JSON, _TEXT)) == JSON:
        return json.dumps(priced), JSON
    lines = [
        f"{row['city']}: {row['price']} (${row['low_usd']:,} to ${row['high_usd']:,})"
        for row in priced
    ]
    return "\n".join(lines), _TEXT


def _usd(log_price: float, rounding: Rounding) -> int:
    return round(math.exp(log_price) / rounding.step_usd) * rounding.step_usd
