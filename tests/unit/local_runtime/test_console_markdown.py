"""The Markdown of text widgets."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local_runtime.console.markdown import Node, tree

TAGS = {
    "h4", "h5", "h6", "p", "ul", "ol", "li", "hr", "pre", "code", "blockquote", "a", "table",
    "thead", "tbody", "tr", "th", "td", "strong", "em", "span",
}  # fmt: skip


def _shown(nodes: list[Node]) -> str:
    """A tree as ``tag(children)``."""
    return "".join(
        node if isinstance(node, str) else f"{node['tag']}({_shown(node['children'])})"
        for node in nodes
    )


def test_headings_begin_below_those_of_the_page() -> None:
    assert _shown(tree("# One\n### Three")) == "h4(One)h6(Three)"


def test_emphasis_code_and_escapes() -> None:
    assert _shown(tree(r"**a** *b* `c*d*` \*e\* snake_case_name")) == (
        "p(strong(a) em(b) code(c*d*) *e* snake_case_name)"
    )


def test_lists_hold_lists() -> None:
    assert _shown(tree("- a\n  - b\n- c")) == "ul(li(aul(li(b)))li(c))"
    assert _shown(tree("1. a\n2. b")) == "ol(li(a)li(b))"


def test_a_table_has_a_head_and_rows() -> None:
    assert _shown(tree("| a | b |\n|---|:-:|\n| 1 | **2** |")) == (
        "table(thead(tr(th(a)th(b)))tbody(tr(td(1)td(strong(2)))))"
    )


def test_what_looks_like_html_stays_text() -> None:
    assert _shown(tree("<script>x</script>")) == "p(<script>x</script>)"


def _links(nodes: list[Node]) -> list[dict[str, Any]]:
    found = []
    for node in nodes:
        if isinstance(node, dict):
            found += [node] if node["tag"] == "a" else []
            found += _links(node["children"])
    return found


def test_links_lead_to_web_addresses_and_to_dashboards_of_the_console() -> None:
    text = "[a](https://example.com/x) [b](javascript:alert(1)) [c](#dashboards:name=My-Board)"
    there = "[button:primary:d](https://eu-west-1.console.aws.amazon.com/cw#dashboards/dashboard/B)"

    assert [link["href"] for link in _links(tree(f"{text}\n\n{there}"))] == [
        "https://example.com/x",
        "#/dashboards/My-Board",
        "#/dashboards/B",
    ]


@given(st.text(alphabet="#*_`[]()|>-\n ab1.!<:/\\", max_size=80))
def test_any_text_becomes_a_tree_of_known_tags(text: str) -> None:
    def check(nodes: list[Node]) -> None:
        for node in nodes:
            if isinstance(node, dict):
                assert node["tag"] in TAGS
                assert node.get("href", "#/").startswith(("#/", "http://", "https://"))
                check(node["children"])

    check(tree(text))
