"""The console as a person uses it, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.deployed import TAG, Deployed
from tests.browser.visitor import Visitor

# Of the service; in a shorter one, requests of other tests would leave the count meanwhile.
A_WEEK = "?range=P1W"
WIDTHS = pytest.mark.parametrize("width", [1440, 390])


def _requests(visitor: Visitor, endpoint: str) -> int:
    """The number of requests that the overview shows for an endpoint."""
    link = visitor.page.get_by_role("link", name=endpoint, exact=True)
    row = visitor.page.locator("tr", has=link)
    return int(row.locator("td[data-label=Requests]").inner_text())


def _send(visitor: Visitor, endpoint: str, payload: str) -> None:
    visitor.go(f"endpoints/{endpoint}/invoke")
    _send_here(visitor, payload)


def _send_here(visitor: Visitor, payload: str) -> None:
    visitor.page.get_by_label("Payload").fill(payload)
    visitor.page.locator("form button[type=submit]").click()


@WIDTHS
@pytest.mark.parametrize("kind", ["real_time", "pipeline", "multi_model", "serverless"])
def test_an_endpoint_answers_from_the_form_and_its_numbers_move(
    visit: Visit, deployed: Deployed, kind: str, width: int
) -> None:
    endpoint = getattr(deployed, kind)
    visitor = visit(A_WEEK, width=width)
    before = _requests(visitor, endpoint)

    _send(visitor, endpoint, '{"rows": [1, 2]}')

    expect(visitor.page.get_by_role("region", name="Answer", exact=True)).to_contain_text(
        "HTTP 200"
    )
    expect(visitor.page.get_by_label("Body", exact=True)).to_contain_text('"rows"')
    assert not visitor.scrolls_sideways
    visitor.go(A_WEEK)
    visitor.waits_for(
        """([name, before]) => [...document.querySelectorAll("tr")].some((row) =>
             row.querySelector("th")?.innerText === name
             && Number(row.querySelector("td[data-label=Requests]").innerText) > before)""",
        endpoint,
        before,
    )


@WIDTHS
def test_an_asynchronous_endpoint_is_seen_waking_from_zero(
    visit: Visit, deployed: Deployed, width: int
) -> None:
    deployed.sleep(deployed.queued)
    watching = visit(f"endpoints/{deployed.queued}", width=width)
    watching.sees("No instance: it has scaled to zero")
    deployed.wake_when_asked(deployed.queued)
    asking = visit(width=width)

    _send(asking, deployed.queued, "wake up")

    expect(asking.page.get_by_role("region", name="Answer", exact=True)).to_contain_text("HTTP 202")
    expect(watching.page.get_by_role("table")).to_contain_text("ready")
    expect(asking.page.get_by_label("Body", exact=True).last).to_contain_text("wake up")
    asking.go(f"endpoints/{deployed.queued}/scaling")
    asking.sees("Setting desired instance count to 1.")


@WIDTHS
def test_the_log_of_a_container_that_cannot_start_is_two_steps_away(
    visit: Visit, deployed: Deployed, width: int
) -> None:
    visitor = visit(width=width)

    visitor.page.get_by_role("link", name=deployed.broken, exact=True).click()
    visitor.sees("It cannot be served:")
    visitor.page.get_by_role("link", name="What its containers printed").click()

    expect(visitor.page.locator(".log li.error").last).to_contain_text("OSError: no weights")
    assert not visitor.scrolls_sideways


def test_a_request_that_fails_shows_what_the_container_printed(
    visit: Visit, deployed: Deployed
) -> None:
    visitor = visit()

    _send(visitor, deployed.real_time, "trouble")

    expect(visitor.page.get_by_role("region", name="Answer", exact=True)).to_contain_text(
        "HTTP 424"
    )
    printed = visitor.page.get_by_role("region", name="Printed meanwhile")
    expect(printed).to_contain_text("ValueError: the payload asks for trouble")
    visitor.page.get_by_role("link", name="Log lines since this request").click()
    expect(visitor.page.locator(".log")).to_contain_text("the payload asks for trouble")


def test_a_log_grows_while_it_is_looked_at(visit: Visit, deployed: Deployed) -> None:
    visitor = visit(f"endpoints/{deployed.real_time}/logs")
    visitor.sees(f"loaded with {TAG}")

    deployed.runtime.invoke(deployed.real_time, b"a new line")

    visitor.sees("asked: b'a new line'")


def test_a_pipeline_shows_the_time_of_each_container(visit: Visit, deployed: Deployed) -> None:
    deployed.runtime.invoke(deployed.pipeline, b"1")

    visitor = visit(f"endpoints/{deployed.pipeline}")

    stages = visitor.page.locator(".stage")
    expect(stages).to_have_count(2)
    expect(stages.nth(0)).to_contain_text("clean")
    expect(stages.nth(1).locator(".time")).to_contain_text("s", use_inner_text=True)
    expect(visitor.page.get_by_role("img", name="Where the time goes")).to_be_visible()


def test_loaded_models_are_named(visit: Visit, deployed: Deployed) -> None:
    deployed.runtime.invoke(deployed.multi_model, b"1", TargetModel="second.tar.gz")

    visitor = visit(f"endpoints/{deployed.multi_model}")

    expect(visitor.page.locator(".chips")).to_contain_text("second.tar.gz")


@WIDTHS
def test_a_dashboard_is_drawn_but_for_what_cannot_be(
    visit: Visit, deployed: Deployed, width: int
) -> None:
    deployed.runtime.invoke(deployed.real_time, b"1")
    visitor = visit(f"dashboards/{deployed.dashboard}", width=width)
    page = visitor.page

    visitor.sees("Widget 8 cannot be drawn:")
    expect(page.get_by_label("Impossible")).to_contain_text("nothing")
    expect(page.get_by_label("Quiet", exact=True)).to_contain_text("never recorded")
    for title in ("Latency", "Stacked"):
        expect(page.get_by_label(title, exact=True).locator("canvas")).to_be_visible()
    for title in ("Gauge", "Pie"):
        expect(page.get_by_label(title, exact=True).locator("svg").first).to_be_visible()
    expect(page.get_by_label("Alarms", exact=True)).to_contain_text(deployed.alarm)
    expect(page.get_by_label("Lines", exact=True).first).to_contain_text("asked:")
    # What looks like HTML stays text.
    expect(page.locator(".prose")).to_contain_text(TAG)
    expect(page).not_to_have_title("pwned")
    assert not visitor.scrolls_sideways


def test_a_chart_has_its_numbers_as_a_table(visit: Visit, deployed: Deployed) -> None:
    deployed.runtime.invoke(deployed.real_time, b"1")
    visitor = visit(f"dashboards/{deployed.dashboard}")
    chart = visitor.page.get_by_label("Latency", exact=True)

    chart.locator("summary").click()

    expect(chart.get_by_role("rowheader", name="Model")).to_be_visible()
    expect(chart.locator("tbody td").first).to_contain_text("s")


def test_an_alarm_tells_its_reason_and_its_history(visit: Visit, deployed: Deployed) -> None:
    visitor = visit("alarms")

    visitor.page.get_by_role("link", name=deployed.composite, exact=True).click()
    visitor.page.get_by_role("link", name=deployed.alarm, exact=True).click()

    visitor.sees("Half of the requests fail")
    expect(visitor.page.locator("main")).to_contain_text("somebody has tried it")


def test_the_keyboard_reaches_the_content_and_what_was_opened_stays_open(
    visit: Visit, deployed: Deployed
) -> None:
    visitor = visit(f"endpoints/{deployed.real_time}")
    page = visitor.page

    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.locator("summary", has_text="What it is made of").focus()
    page.keyboard.press("Enter")
    deployed.runtime.invoke(deployed.real_time, b"1")  # something to draw anew

    asked = "performance.getEntriesByType('resource').length"
    visitor.waits_for(f"([before]) => {asked} > before + 6", page.evaluate(asked))
    expect(page.get_by_role("columnheader", name="Image")).to_be_visible()
    expect(page.locator("summary", has_text="What it is made of")).to_be_focused()


def test_the_colours_follow_the_system_until_somebody_chooses(visit: Visit) -> None:
    visitor = visit(scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = visitor.page.evaluate(background)

    visitor.page.get_by_role("button", name="Colours: system").click()

    assert visitor.page.evaluate(background) != dark
    visitor.page.reload()
    visitor.page.locator("h1").wait_for()
    expect(visitor.page.get_by_role("button", name="Colours: light")).to_be_visible()


@WIDTHS
def test_a_component_is_invoked_and_its_numbers_move(
    visit: Visit, deployed: Deployed, width: int
) -> None:
    visitor = visit(f"endpoints/{deployed.host}?range=P1W", width=width)
    row = visitor.page.get_by_role("row", name=deployed.component).first
    visitor.page.get_by_role("link", name=f"Invoke {deployed.component}").click()

    _send_here(visitor, "to a component")

    answer = visitor.page.get_by_role("region", name="Answer", exact=True)
    expect(answer).to_contain_text("HTTP 200")
    expect(answer).to_contain_text("to a component")
    visitor.go(f"endpoints/{deployed.host}?range=P1W")
    expect(row.locator("td[data-label=Requests]")).not_to_have_text("0")
    expect(row.locator("td[data-label=Copies]")).to_have_text("1")
    expect(visitor.page.get_by_label("Requests per minute").first).to_contain_text(
        deployed.component
    )
    visitor.page.get_by_role("link", name=f"Log of {deployed.component}", exact=True).click()
    expect(visitor.page.locator(".log")).to_contain_text("asked: to a component")
    assert not visitor.scrolls_sideways


def test_an_answer_that_is_too_long_to_show_can_be_saved(visit: Visit, deployed: Deployed) -> None:
    visitor = visit()

    _send(visitor, deployed.real_time, "long " * 30_000)

    visitor.sees("This is its beginning: 100K of 150K characters.")
    with visitor.page.expect_download() as saved:
        visitor.page.get_by_role("link", name="Save the answer").click()
    assert saved.value.path().stat().st_size == 150_000


def test_an_address_that_escapes_nothing_names_nothing(visit: Visit) -> None:
    visitor = visit("100%")

    visitor.sees("No such page")


def test_a_page_says_that_the_runtime_is_gone_and_goes_on_when_it_is_back(
    visit: Visit, deployed: Deployed
) -> None:
    visitor = visit(f"endpoints/{deployed.real_time}/invoke")
    page = visitor.page
    page.context.route("**/*", lambda route: route.abort("connectionrefused"))

    _send_here(visitor, "nobody hears")

    visitor.sees("There is no answer: the runtime does not answer.")
    page.get_by_role("link", name="Alarms", exact=True).click()
    visitor.sees("The runtime does not answer. It is asked again.")
    page.context.unroute("**/*")
    expect(page.get_by_role("link", name=deployed.alarm, exact=True)).to_be_visible()
    expect(page.locator("#trouble")).to_be_hidden()
    # What the browser has said of the time in between.
    visitor.complaints.clear()
