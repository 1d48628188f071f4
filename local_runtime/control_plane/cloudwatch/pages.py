"""Pages of CloudWatch's lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from local_runtime.control_plane.errors import InvalidNextToken

_T = TypeVar("_T")


def page_of(
    found: Sequence[_T], request: Mapping[str, Any], default: int, *, size: str = "MaxResults"
) -> tuple[Sequence[_T], dict[str, str]]:
    """The part of a list that a request asks for, and the token of the next part.

    Raises:
        InvalidNextToken: its token is none of these.
    """
    token = request.get("NextToken", "0")
    if not token.isdecimal():
        raise InvalidNextToken(f"Invalid NextToken: {token}")
    start, count = int(token), request.get(size, default)
    rest = start + count < len(found)
    return found[start : start + count], {"NextToken": str(start + count)} if rest else {}
