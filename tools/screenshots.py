"""Take the pictures of the console that the documentation shows, into ``docs/images``.

    python -m tools.screenshots

Deploys every stack to a local runtime with the real CDK CLI, sends traffic for a while, and looks
at the pages in a browser: the machine's Chromium, or the one that
``npm ci --prefix tests/browser`` has brought.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from botocore.exceptions import ClientError
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from local_runtime.console import CONSOLE_ROUTE
from tools.chromium import launch
from tools.demo_questions import question_for
from tools.deployment import deploy_all, stack_outputs
from tools.runtime_client import client, local_runtime

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
ASSEMBLY = ROOT / "build" / "screenshots" / "cdk.out"
SPEED = 30
# Three quarters of what the pages show, which is an hour of the service.
TRAFFIC_S = 90
_PAUSE_S = 0.15
_SUFFIX = "EndpointName"
# One request of this many is not what the model expects.
_WRONG_EVERY = 29
_WAITING_REQUESTS = 12
_TIMEOUT_S = 240
_DESKTOP = (1280, 800)
_PHONE = (390, 844)
_COLOURS = 255
# The stack whose dashboard is shown: it has a pipeline.
_DASHBOARD = "tumor-screening"


def main() -> int:
    """Deploy, send traffic, take the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with local_runtime(speed=SPEED) as environment, sync_playwright() as playwright:
        browser = launch(playwright)
        if isinstance(browser, str):
            raise SystemExit(browser)
        deploy_all(environment, ASSEMBLY)
        outputs = stack_outputs(environment)
        with _traffic(outputs, environment):
            time.sleep(TRAFFIC_S)
            _take(browser, outputs, environment)
        browser.close()
    return 0


def _take(browser: Browser, outputs: Mapping[str, str], environment: Mapping[str, str]) -> None:
    url = f"{environment['AWS_ENDPOINT_URL']}{CONSOLE_ROUTE}"
    listed = client("cloudwatch", environment).list_dashboards()["DashboardEntries"]
    names = [each["DashboardName"] for each in listed]
    chosen = next(name for name in names if name.startswith(_DASHBOARD))
    board = f"dashboards/{quote(chosen, safe='')}?range=PT1H"
    pipeline = f"endpoints/{outputs['PipelineEndpointName']}"
    queued = f"endpoints/{outputs['AsyncEndpointName']}"
    for name, path, size, scheme, full in (
        ("console-overview", "", _DESKTOP, "light", False),
        ("console-pipeline", pipeline, _DESKTOP, "light", False),
        ("console-dark", pipeline, _DESKTOP, "dark", False),
        ("console-phone", pipeline, _PHONE, "light", False),
        ("console-dashboard", board, (1280, 1500), "light", False),
    ):
        with _page(browser, f"{url}#/{path}", size, scheme) as page:
            _save(page, name, full=full)
    _await_sleep(outputs["AsyncEndpointName"], environment)
    for _ in range(_WAITING_REQUESTS):
        _ask("Async", outputs["AsyncEndpointName"], outputs, environment, wrong=False)
    with _page(browser, f"{url}#/{queued}", _DESKTOP, "light") as page:
        # Requests wait, and the first instance is on its way.
        page.locator("dt:text-is('Waiting') + dd:not(:text-is('0'))").wait_for()
        _save(page, "console-async-waking", full=False)


@contextlib.contextmanager
def _page(browser: Browser, address: str, size: tuple[int, int], scheme: str) -> Iterator[Page]:
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page = context.new_page()
    page.goto(address)
    page.locator("h1").wait_for()
    page.evaluate("document.fonts.ready")
    yield page
    context.close()


def _save(page: Page, name: str, *, full: bool = True) -> None:
    """Write a picture with few colours, which is what a console has, and so a small file."""
    taken = Image.open(io.BytesIO(page.screenshot(full_page=full))).convert("RGB")
    path = IMAGES / f"{name}.png"
    taken.quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {taken.width} x {taken.height}, {path.stat().st_size} bytes")


@contextlib.contextmanager
def _traffic(outputs: Mapping[str, str], environment: Mapping[str, str]) -> Iterator[None]:
    """Ask every endpoint again and again, the asynchronous one for a while only."""
    stopped = threading.Event()

    def ask_on(kind: str, name: str) -> None:
        for number in itertools.count(1):
            if stopped.wait(_PAUSE_S * (1 + number % 3)):
                return
            with contextlib.suppress(ClientError):
                _ask(kind, name, outputs, environment, wrong=number % _WRONG_EVERY == 0)

    threads = [
        threading.Thread(target=ask_on, args=(key.removesuffix(_SUFFIX), name))
        for key, name in outputs.items()
        if key.endswith(_SUFFIX) and not key.startswith("Async")
    ]
    for thread in threads:
        thread.start()
    _ask("Async", outputs["AsyncEndpointName"], outputs, environment, wrong=False)
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def _ask(
    kind: str,
    name: str,
    outputs: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    wrong: bool,
) -> None:
    question = question_for(kind)
    runtime = client("sagemaker-runtime", environment)
    arguments: dict[str, Any] = {
        "EndpointName": name,
        "ContentType": question.content_type,
        "Accept": question.accept,
    }
    if not kind.startswith("Async"):
        body = b"\x00" if wrong else question.body
        runtime.invoke_endpoint(Body=body, **arguments, **question.arguments)["Body"].read()
        return
    place = urlsplit(outputs[f"{kind}InputPrefix"])
    key = f"{place.path.removeprefix('/')}{time.monotonic_ns()}"
    client("s3", environment).put_object(Bucket=place.netloc, Key=key, Body=question.body)
    runtime.invoke_endpoint_async(InputLocation=f"s3://{place.netloc}/{key}", **arguments)


def _await_sleep(name: str, environment: Mapping[str, str]) -> None:
    sagemaker = client("sagemaker", environment)

    def asleep() -> bool:
        variant = sagemaker.describe_endpoint(EndpointName=name)["ProductionVariants"][0]
        return bool(variant["CurrentInstanceCount"] == 0)

    _wait_for(asleep)


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {_TIMEOUT_S} s")
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    sys.exit(main())
