"""Somebody who looks at the console, and remembers what the browser complained about."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator

# The machine may be busy with other tests.
PATIENCE_MS = 180_000


class Visitor:
    """One page of a browser of its own."""

    def __init__(self, browser: Browser, url: str, *, width: int, scheme: str) -> None:
        self._url = url
        self._context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self._context.set_default_timeout(PATIENCE_MS)
        self.page = self._context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str) -> None:
        """Show a page of the console, and wait for its heading."""
        self.page.goto(f"{self._url}/console#/{path}")
        self.page.locator("h1").wait_for()

    def sees(self, text: str) -> Locator:
        """Wait until a text is there."""
        found = self.page.get_by_text(text).first
        found.wait_for()
        return found

    def waits_for(self, expression: str, *arguments: Any) -> None:
        """Wait until an expression of the page holds."""
        self.page.wait_for_function(expression, arg=list(arguments) if arguments else None)

    @property
    def scrolls_sideways(self) -> bool:
        """Whether something is wider than the window."""
        wide: bool = self.page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        return wide

    def close(self) -> None:
        """Leave."""
        self._context.close()

    def _listen(self, message: ConsoleMessage) -> None:
        # That an endpoint refuses a request is an answer, which the page shows.
        if message.type == "error" and "/endpoints/" not in message.location.get("url", ""):
            self.complaints.append(message.text)
