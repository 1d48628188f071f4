"""What axe-core finds on every page, in both sets of colours and at both widths."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import Visit
from tests.browser.deployed import Deployed

_RUN = """async () => (await axe.run(document, {
  resultTypes: ["violations"],
  runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
})).violations"""


@pytest.mark.parametrize(
    "path",
    [
        "",
        "endpoints/{real_time}",
        "endpoints/{pipeline}",
        "endpoints/{multi_model}",
        "endpoints/{queued}",
        "endpoints/{serverless}",
        "endpoints/{broken}",
        "endpoints/{host}",
        "endpoints/{host}/invoke",
        "endpoints/{host}/logs",
        "endpoints/{real_time}/invoke",
        "endpoints/{real_time}/logs",
        "endpoints/{queued}/scaling",
        "alarms",
        "alarms/{alarm}",
        "alarms/{composite}",
        "dashboards",
        "dashboards/{dashboard}",
    ],
)
def test_a_page_has_no_serious_fault(visit: Visit, deployed: Deployed, axe: str, path: str) -> None:
    address = path.format(
        **{name: getattr(deployed, name) for name in dir(deployed) if not name.startswith("_")}
    )
    found: list[str] = []
    visitor = visit(address)
    visitor.page.evaluate(axe)
    for width, scheme in ((1440, "light"), (390, "dark")):
        visitor.page.set_viewport_size({"width": width, "height": 900})
        visitor.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        violations: list[dict[str, Any]] = visitor.page.evaluate(_RUN)
        found += [
            f"{scheme} at {width}: {each['id']}: {each['nodes'][0]['html'][:200]}"
            for each in violations
            if each["impact"] in {"serious", "critical"}
        ]
        assert not visitor.scrolls_sideways

    assert found == []
