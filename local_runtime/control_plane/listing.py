"""List operations: filter, sort, and hand out pages."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local_runtime.control_plane.errors import ValidationException

# Documented for ListEndpoints; the other two state no default and get the same.
DEFAULT_PAGE = 10

Summary = dict[str, Any]
_Key = tuple[Any, str]


def page(
    summaries: Sequence[Summary], request: Mapping[str, Any], *, prefix: str
) -> tuple[list[Summary], str | None]:
    """Apply a List request to the summaries of all resources.

    Args:
        summaries: every resource, with its times in epoch seconds.
        request: filters, ``SortBy``, ``SortOrder``, ``MaxResults`` and ``NextToken``.
        prefix: of the member that names a resource: ``Model`` for ``ModelName``.

    Returns:
        One page, and the token of the next one.

    Raises:
        ValidationException: the token is not one of ours, or belongs to another sort order.
    """
    name, descending = f"{prefix}Name", request.get("SortOrder", "Descending") == "Descending"
    sort_by = request.get("SortBy", "CreationTime")
    member = {"Name": name, "Status": f"{prefix}Status"}.get(sort_by, sort_by)

    def key(summary: Summary) -> _Key:
        return summary[member], summary[name]

    order = f"{sort_by} {'Descending' if descending else 'Ascending'}"
    kept = sorted(
        (summary for summary in summaries if _matches(summary, request, name, prefix)),
        key=key,
        reverse=descending,
    )
    if request.get("NextToken") is not None:
        kept = _after(kept, request["NextToken"], order, key, descending=descending)
    size = request.get("MaxResults", DEFAULT_PAGE)
    rest = len(kept) > size
    return kept[:size], _token(order, key(kept[size - 1])) if rest else None


def _matches(summary: Summary, request: Mapping[str, Any], name: str, prefix: str) -> bool:
    def before(member: str) -> bool:
        limit = request.get(f"{member}Before")
        return limit is None or summary[member] < limit

    def after(member: str) -> bool:
        # Documented: "greater than or equal to the specified time".
        limit = request.get(f"{member}After")
        return limit is None or summary[member] >= limit

    status = request.get("StatusEquals")
    return (
        request.get("NameContains", "") in summary[name]
        and (status is None or summary[f"{prefix}Status"] == status)
        and all(before(member) and after(member) for member in ("CreationTime", "LastModifiedTime"))
    )


def _token(order: str, last: _Key) -> str:
    return base64.urlsafe_b64encode(json.dumps([order, *last]).encode()).decode()


def _after(
    summaries: Sequence[Summary],
    token: str,
    order: str,
    key: Callable[[Summary], _Key],
    *,
    descending: bool,
) -> list[Summary]:
    """Continue behind the last key of the previous page.

    The token carries a key and not a position, so that what was created or deleted in between
    neither repeats nor hides a resource.
    """
    try:
        of_order, value, name = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError) as fault:
        raise ValidationException(f"Invalid NextToken: {token}") from fault
    if of_order != order:
        raise ValidationException(f"Invalid NextToken: it continues a list sorted by {of_order}")
    last = (value, name)
    if descending:
        return [summary for summary in summaries if key(summary) < last]
    return [summary for summary in summaries if key(summary) > last]
