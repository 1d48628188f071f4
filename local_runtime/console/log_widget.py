"""Log widgets: the newest lines of container logs, for the plain queries that dashboards have.

Logs Insights is a language of its own. Read here: SOURCE, ``fields``, ``display`` and ``sort`` on
the time and the message, ``filter @message like``, ``limit``. Anything else is named as the reason
that a widget is not drawn.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from local_runtime.console.faults import WidgetFault
from local_runtime.console.log_lines import LogLines

Json = dict[str, Any]
Groups = Callable[[str], LogLines]

_SOURCE: Final = re.compile(r"SOURCE\s+'([^']+)'", re.IGNORECASE)
_LIKE: Final = re.compile(
    r"@message\s+(?P<no>not\s+)?(?:like|=~)\s+(?:/(?P<pattern>.+)/(?P<flags>i?)"
    r"|\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)')",
    re.IGNORECASE,
)
_LIMIT: Final = re.compile(r"limit\s+(\d+)", re.IGNORECASE)
_SHOWN: Final = ("@timestamp", "@message", "@logStream", "@log", "@ptr")
_MOST_LINES: Final = 200


def draw(properties: Mapping[str, Any], groups: Groups) -> Json:
    """Read the lines of a log widget.

    Raises:
        WidgetFault: its query asks for more than lines.
    """
    query = properties.get("query")
    if not isinstance(query, str):
        raise WidgetFault(f"query must be text, got {query!r}")
    sources = _SOURCE.findall(query)
    if not sources:
        raise WidgetFault("query names no log group: SOURCE 'GROUP' is missing")
    keep: list[Callable[[str], bool]] = []
    limit = _MOST_LINES
    newest_first = True
    for command in query.split("|"):
        text = command.strip()
        word = text.partition(" ")[0].lower()
        if word in {"fields", "display"}:
            _check_fields(text.partition(" ")[2])
        elif word == "sort":
            newest_first = not text.lower().endswith("asc")
        elif word == "limit" and (match := _LIMIT.fullmatch(text)) is not None:
            limit = min(int(match[1]), _MOST_LINES)
        elif word == "filter":
            keep.append(_filter(text.partition(" ")[2].strip()))
        elif text and word != "source":
            raise WidgetFault(
                f"the local runtime shows lines and does not evaluate {word!r} of a log query"
            )
    lines = [
        line
        for group in dict.fromkeys(sources)
        for line in groups(group).newest(10 * _MOST_LINES)
        if all(wanted(line["text"]) for wanted in keep)
    ]
    lines.sort(key=lambda line: float(line["time_s"]), reverse=newest_first)
    return {"lines": lines[:limit], "groups": list(dict.fromkeys(sources))}


def _check_fields(text: str) -> None:
    for field in (part.strip() for part in text.split(",")):
        if field not in _SHOWN:
            raise WidgetFault(
                f"fields must be of {', '.join(_SHOWN)} in the local runtime, got {field!r}"
            )


def _filter(text: str) -> Callable[[str], bool]:
    match = _LIKE.fullmatch(text)
    if match is None:
        raise WidgetFault(
            f"a filter must be like @message like /PATTERN/ in the local runtime, got {text!r}"
        )
    wanted = match["no"] is None
    if match["pattern"] is not None:
        try:
            pattern = re.compile(match["pattern"], re.IGNORECASE if match["flags"] else 0)
        except re.error as fault:
            raise WidgetFault(f"filter: {fault} in {match['pattern']!r}") from fault
        return lambda line: (pattern.search(line) is not None) == wanted
    words = match["double"] if match["double"] is not None else match["single"]
    return lambda line: (words in line) == wanted
