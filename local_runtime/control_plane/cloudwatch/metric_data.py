"""GetMetricData: queries answered, labelled, and handed out in pages."""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local_runtime.control_plane.cloudwatch import labels, queries
from local_runtime.control_plane.cloudwatch.metric_store import MetricStore
from local_runtime.control_plane.cloudwatch.parameters import check_period, check_span
from local_runtime.control_plane.cloudwatch.series_math import Series
from local_runtime.control_plane.errors import (
    InvalidNextToken,
    InvalidParameterValue,
    ValidationException,
)

Json = dict[str, Any]

# Source: API reference, GetMetricData: "as many as 500 MetricDataQuery structures", "the default
# of 100,800 is used".
_QUERIES_LIMIT: Final = 500
_DATAPOINTS_LIMIT: Final = 100_800
_ID: Final = re.compile(r"[a-z][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Result:
    """One time series of the answer, in the order that was asked for."""

    id: str
    label: str
    times_s: Sequence[float]
    values: Sequence[float]

    def document(self, start: int, end: int) -> Json:
        return {
            "Id": self.id,
            "Label": self.label,
            "Timestamps": list(self.times_s[start:end]),
            "Values": list(self.values[start:end]),
            "StatusCode": "Complete" if end >= len(self.values) else "PartialData",
        }


def answer(
    store: MetricStore, request: Json, region: str, *, account_id: str, now_s: float
) -> Json:
    """Answer a GetMetricData.

    Raises:
        ApiError: it is refused.
    """
    check_span(request["StartTime"], request["EndTime"])
    limit = request.get("MaxDatapoints", _DATAPOINTS_LIMIT)
    if not 1 <= limit <= _DATAPOINTS_LIMIT:
        raise InvalidParameterValue(
            f"The parameter MaxDatapoints must be between 1 and {_DATAPOINTS_LIMIT}, got {limit}"
        )
    asked = request["MetricDataQueries"]
    _check(asked)
    in_zone = labels.zone(request.get("LabelOptions", {}))
    newest_first = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results = []
    for each in queries.answer(store, region, asked, request["StartTime"], request["EndTime"]):
        if not each.query.get("ReturnData", True):
            continue
        for series in each.series:
            points = {
                float(number * each.period_s): value for number, value in series.points.items()
            }
            about = labels.Labelled(
                points=points,
                default=_default(each.query, series),
                stat=series.stat,
                region=region,
                account_id=account_id,
                now_s=now_s,
            )
            times_s = sorted(points, reverse=newest_first)
            results.append(
                _Result(
                    id=each.query["Id"],
                    label=labels.filled(_label(each, series, about), about, in_zone),
                    times_s=times_s,
                    values=[points[time_s] for time_s in times_s],
                )
            )
    return _page(results, request, limit)


def _default(query: Mapping[str, Any], series: Series) -> str:
    if "MetricStat" in query:
        return str(query["MetricStat"]["Metric"]["MetricName"])
    return series.name if series.name else str(query["Id"])


def _label(answered: queries.Answer, series: Series, about: labels.Labelled) -> str:
    """The label asked for; before the series' own where an expression has made several.

    Source: "using-metric-math": the captions are in the format Expression-Label Metric-Label.
    """
    given: str | None = answered.query.get("Label")
    if given is None:
        return about.default
    if answered.is_array and "${" not in given:
        return f"{given} {series.name}".strip()
    return given


def _check(asked: Sequence[Mapping[str, Any]]) -> None:
    if not 1 <= len(asked) <= _QUERIES_LIMIT:
        raise ValidationException(
            f"The parameter MetricDataQueries must have 1 to {_QUERIES_LIMIT} queries,"
            f" got {len(asked)}"
        )
    for query in asked:
        if _ID.fullmatch(query["Id"]) is None:
            raise ValidationException(
                "The value of Id must start with a lowercase letter and have letters, digits and"
                f" underscores only, got {query['Id']}"
            )
        for period_s in (query.get("Period"), query.get("MetricStat", {}).get("Period")):
            if period_s is not None:
                check_period(period_s)


def _page(results: Sequence[_Result], request: Json, limit: int) -> Json:
    """As many datapoints as a page takes, from where the page before ended.

    The token counts datapoints of all series one after the other; a series without any counts as
    one, so that it is shown once.
    """
    fingerprint = _fingerprint(request)
    first = _position(request.get("NextToken"), fingerprint)
    documents, passed, last = [], 0, first + limit
    for result in results:
        size = max(len(result.values), 1)
        begin, end = max(first - passed, 0), min(last - passed, size)
        if begin < end:
            documents.append(result.document(begin, end))
        passed += size
    page: Json = {"MetricDataResults": documents, "Messages": []}
    if passed > last:
        token = json.dumps([fingerprint, last]).encode()
        page["NextToken"] = base64.urlsafe_b64encode(token).decode()
    return page


def _fingerprint(request: Json) -> int:
    kept = {name: value for name, value in request.items() if name != "NextToken"}
    return zlib.crc32(json.dumps(kept, sort_keys=True, default=str).encode())


def _position(token: str | None, fingerprint: int) -> int:
    if token is None:
        return 0
    try:
        of_request, position = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError, TypeError) as fault:
        raise InvalidNextToken(f"Invalid NextToken: {token}") from fault
    if of_request != fingerprint or not isinstance(position, int):
        raise InvalidNextToken("Invalid NextToken: it continues another request")
    return position
