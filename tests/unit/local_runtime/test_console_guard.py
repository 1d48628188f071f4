"""Who may talk to the console."""

from __future__ import annotations

from typing import Any

import pytest

from local_runtime.console.application import Console
from local_runtime.console.guard import HEADERS, refusal


def _request(path: str = "/console/api/overview", **headers: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "HTTP_HOST": "127.0.0.1:8566",
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }


@pytest.mark.parametrize("host", ["127.0.0.1:8566", "localhost:8566", "[::1]:8566", "localhost"])
def test_loopback_names_are_answered(host: str) -> None:
    assert refusal(_request(host=host)) is None


@pytest.mark.parametrize("host", ["evil.example:8566", "127.0.0.1.evil.example", ""])
def test_a_name_that_somebody_has_pointed_here_is_refused(host: str) -> None:
    assert refusal(_request(host=host)) == "call the console by a loopback name, such as 127.0.0.1"


def test_a_page_from_elsewhere_is_refused_by_its_origin() -> None:
    assert refusal(_request(origin="https://evil.example")) is not None
    assert refusal(_request(origin="http://127.0.0.1:9000")) is not None
    assert refusal(_request(origin="http://127.0.0.1:8566")) is None


def test_a_page_from_elsewhere_is_refused_by_what_its_browser_says() -> None:
    assert refusal(_request(sec_fetch_site="cross-site")) is not None
    assert refusal(_request(sec_fetch_site="same-site")) is not None
    assert refusal(_request(sec_fetch_site="same-origin")) is None
    assert refusal(_request(sec_fetch_site="none")) is None


def test_a_link_to_the_console_may_be_followed_from_anywhere_but_leads_to_pages_alone() -> None:
    followed = {
        "sec_fetch_site": "cross-site",
        "sec_fetch_mode": "navigate",
        "sec_fetch_dest": "document",
    }

    assert refusal(_request("/console", **followed)) is None
    assert refusal(_request("/console/api/overview", **followed)) is not None


def test_pages_may_run_their_own_files_alone() -> None:
    policy = dict(HEADERS)["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy


def test_a_bucket_named_console_stays_reachable_for_clients_of_s3() -> None:
    signed = _request("/console/key", authorization="AWS4-HMAC-SHA256 Credential=…")
    presigned = _request("/console/key") | {"QUERY_STRING": "X-Amz-Signature=1"}

    assert not Console.takes(signed)
    assert not Console.takes(presigned)
    assert Console.takes(_request("/console"))
    assert not Console.takes(_request("/consoles"))
