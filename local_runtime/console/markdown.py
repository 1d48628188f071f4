"""The Markdown of text widgets, as a tree of elements.

A page builds elements from the tree and writes text into them; no HTML is ever read, so tags in a
text are shown as text. Links lead to http and https addresses, and to dashboards of the console.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/add_remove_text_dashboard.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, unquote

Node = dict[str, Any] | str

_HEADING: Final = re.compile(r"(#{1,6})\s+(.*?)\s*#*$")
_RULE: Final = re.compile(r"\s*([-*_])(?:\s*\1){2,}\s*$")
_ITEM: Final = re.compile(r"(\s*)(?:([-*+])|(\d+)[.)])\s+(.*)$")
_TABLE_RULE: Final = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_INLINE: Final = re.compile(
    r"\\(?P<escaped>[\\`*_{}\[\]()#+.!|-])"
    r"|`(?P<code>[^`]+)`"
    r"|\[button(?::(?P<style>primary))?:(?P<button>[^\]]+)\]\((?P<target>[^)\s]+)[^)]*\)"
    r"|!?\[(?P<text>[^\]]+)\]\((?P<link>[^)\s]+)[^)]*\)"
    r"|\*\*(?P<strong>.+?)\*\*|__(?P<strong2>.+?)__"
    r"|\*(?P<em>[^*\s][^*]*?)\*|(?<!\w)_(?P<em2>[^_\s][^_]*?)_(?!\w)"
    r"|(?P<bare>https?://[^\s<>()]+[^\s<>().,;:!?])"
)
_DASHBOARD: Final = re.compile(r".*#dashboards(?:/dashboard/|:name=)(?P<name>[^;?&/]+)")


def tree(text: str) -> list[Node]:
    """The blocks of a text."""
    return list(_blocks(text.replace("\r\n", "\n").split("\n")))


def _blocks(lines: list[str]) -> Iterator[Node]:
    at = 0
    while at < len(lines):
        line = lines[at]
        heading = _HEADING.match(line.strip())
        if not line.strip():
            at += 1
        elif line.strip().startswith("```"):
            end = _find(lines, at + 1, lambda each: each.strip().startswith("```"))
            yield _element("pre", [_element("code", ["\n".join(lines[at + 1 : end])])])
            at = end + 1
        elif heading is not None:
            # The page and the widget have headings of their own above these.
            yield _element(f"h{min(len(heading[1]) + 3, 6)}", inline(heading[2]))
            at += 1
        elif _RULE.match(line):
            yield _element("hr", [])
            at += 1
        elif "|" in line and at + 1 < len(lines) and _TABLE_RULE.match(lines[at + 1]):
            end = _find(lines, at + 2, lambda each: "|" not in each)
            yield _table(line, lines[at + 2 : end])
            at = end
        elif _ITEM.match(line):
            end = _find(lines, at, lambda each: _ITEM.match(each) is None)
            yield _list(lines[at:end])
            at = end
        elif line.lstrip().startswith(">"):
            end = _find(lines, at, lambda each: not each.lstrip().startswith(">"))
            quoted = [each.lstrip().removeprefix(">").removeprefix(" ") for each in lines[at:end]]
            yield _element("blockquote", list(_blocks(quoted)))
            at = end
        else:
            end = _find(lines, at + 1, _begins_block)
            yield _element("p", inline(" ".join(each.strip() for each in lines[at:end])))
            at = end


def _find(lines: list[str], start: int, found: Any) -> int:
    return next((at for at in range(start, len(lines)) if found(lines[at])), len(lines))


def _begins_block(line: str) -> bool:
    text = line.strip()
    return (
        not text
        or text.startswith(("```", ">"))
        or _HEADING.match(text) is not None
        or _RULE.match(line) is not None
        or _ITEM.match(line) is not None
    )


def _list(lines: list[str]) -> Node:
    """Items of one list; deeper ones belong to the item above them."""
    found = [match for line in lines if (match := _ITEM.match(line)) is not None]
    indent = len(found[0][1])
    items: list[Node] = []
    at = 0
    while at < len(found):
        end = at + 1
        while end < len(found) and len(found[end][1]) > indent:
            end += 1
        children = inline(found[at][4])
        if end > at + 1:
            children.append(_list([each[0] for each in found[at + 1 : end]]))
        items.append(_element("li", children))
        at = end
    return _element("ul" if found[0][2] else "ol", items)


def _table(head: str, rows: list[str]) -> Node:
    def cells(tag: str, line: str) -> list[Node]:
        parts = re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))
        return [_element(tag, inline(part.strip())) for part in parts]

    body = [_element("tr", cells("td", row)) for row in rows]
    return _element(
        "table",
        [
            _element("thead", [_element("tr", cells("th", head))]),
            _element("tbody", body),
        ],
    )


def inline(text: str) -> list[Node]:
    """The parts of one line."""
    nodes: list[Node] = []
    at = 0
    for match in _INLINE.finditer(text):
        if match.start() > at:
            nodes.append(text[at : match.start()])
        nodes.append(_part(match))
        at = match.end()
    if at < len(text):
        nodes.append(text[at:])
    return nodes


def _part(match: re.Match[str]) -> Node:
    if match["escaped"] is not None:
        return match["escaped"]
    if match["code"] is not None:
        return _element("code", [match["code"]])
    if match["bare"] is not None:
        return _link(match["bare"], [match["bare"]])
    if match["button"] is not None:
        return _link(match["target"], [match["button"]], button=True)
    if match["text"] is not None:
        return _link(match["link"], inline(match["text"]))
    for tag, names in (("strong", ("strong", "strong2")), ("em", ("em", "em2"))):
        for name in names:
            if match[name] is not None:
                return _element(tag, inline(match[name]))
    raise AssertionError(match)


def _link(target: str, children: list[Node], *, button: bool = False) -> Node:
    dashboard = _DASHBOARD.match(target)
    if dashboard is not None:
        target = f"#/dashboards/{quote(unquote(dashboard['name']), safe='')}"
    elif not target.startswith(("https://", "http://")):
        return _element("span", children)
    return {
        "tag": "a",
        "href": target,
        "children": children,
        **({"class": "button"} if button else {}),
    }


def _element(tag: str, children: list[Node]) -> Node:
    return {"tag": tag, "children": children}
