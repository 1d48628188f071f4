"""The context object that handlers of Multi Model Server and its relatives may ask for.

Source: mms/context.py of multi-model-server 1.1.11, whose methods and names it has.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .message import Head


class Context:
    """One object for the life of a worker; its request part changes with each request.

    The ``idx`` arguments are positions in a batch, which here always holds one request.
    """

    def __init__(self, model_dir: str) -> None:
        self.model_name = "model"
        self.manifest = None
        self.system_properties: dict[str, object] = {
            "model_dir": model_dir,
            "gpu_id": None,
            "batch_size": 1,
            "server_name": "MMS",
            "server_version": "1.1.11",
        }
        self.request_ids: dict[int, str] | None = None
        self.request_processor: list[RequestProcessor] | None = None
        self.metrics = Metrics()

    def begin(self, head: Head) -> RequestProcessor:
        """Make this the context of a new request."""
        request = RequestProcessor(head.sent)
        self.request_processor = [request]
        self.request_ids = None
        self.metrics.store.clear()
        return request

    def _request(self, idx: int) -> RequestProcessor:
        if self.request_processor is None:
            raise RuntimeError("there is no request while the model is loaded")
        return self.request_processor[idx]

    def get_request_id(self, idx: int = 0) -> str | None:
        """An identifier of this request, made when first asked for."""
        if self.request_ids is None:
            self.request_ids = {0: os.urandom(16).hex()}
        return self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        """One header of the request, by any spelling of its name."""
        return self._request(idx).get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        """Every header of the request, named as it was sent."""
        return self._request(idx).get_request_properties()

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Set the media type; the toolkits set it again after the handler has returned."""
        self.set_response_header(idx, "content-type", value)

    def get_response_content_type(self, idx: int) -> str | None:
        """The media type set so far."""
        return self.get_response_headers(idx).get("content-type")

    def get_response_status(self, idx: int) -> tuple[int, str | None]:
        """Status code and reason phrase set so far."""
        request = self._request(idx)
        return request.get_response_status_code(), request.get_response_status_phrase()

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Set the status the client sees."""
        self._request(idx).report_status(code, reason_phrase=phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """Set the status of each request of the batch, which is one."""
        self.set_response_status(code, phrase)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        """The headers set so far."""
        return self._request(idx).get_response_headers()

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Add a header, such as X-Amzn-SageMaker-Custom-Attributes."""
        self._request(idx).add_response_property(key, value)


class RequestProcessor:
    """Headers of the request, status and headers of its answer."""

    def __init__(self, request_headers: dict[str, str]) -> None:
        self._request_headers = request_headers
        self._status = 200
        self._phrase: str | None = None
        self._response_headers: dict[str, str] = {}

    def get_request_property(self, key: str) -> str | None:
        """One header; HTTP names headers in any case."""
        value = self._request_headers.get(key)
        if value is not None:
            return value
        wanted = key.lower()
        for name, candidate in self._request_headers.items():
            if name.lower() == wanted:
                return candidate
        return None

    def get_request_properties(self) -> dict[str, str]:
        """A copy of every header: requests with equal heads share the original."""
        return dict(self._request_headers)

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """Set status code and reason phrase."""
        self._status = code
        self._phrase = reason_phrase

    def get_response_status_code(self) -> int:
        """The status code set so far."""
        return self._status

    def get_response_status_phrase(self) -> str | None:
        """The reason phrase set so far."""
        return self._phrase

    def add_response_property(self, key: str, value: str) -> None:
        """Set a header of the answer."""
        self._response_headers[key] = value

    def get_response_headers(self) -> dict[str, str]:
        """The headers of the answer."""
        return self._response_headers

    def get_response_header(self, key: str) -> str | None:
        """One header of the answer."""
        return self._response_headers.get(key)


class Metrics:
    """Measurements a handler reports; kept for the request, as the model server's store is."""

    def __init__(self) -> None:
        self.store: list[tuple[str, object, str]] = []

    def add_metric(
        self,
        name: str,
        value: object,
        idx: int | None = None,  # noqa: ARG002  (position in the batch of one)
        unit: str = "",
        dimensions: object = None,  # noqa: ARG002  (MMS prints them; nothing reads them here)
    ) -> None:
        """Record one value."""
        self.store.append((name, value, unit))

    def add_counter(self, name: str, value: object, idx: int | None = None) -> None:
        """Record a count."""
        self.add_metric(name, value, idx, "count")

    def add_time(self, name: str, value: object, idx: int | None = None, unit: str = "ms") -> None:
        """Record a duration."""
        self.add_metric(name, value, idx, unit)

    def add_size(self, name: str, value: object, idx: int | None = None, unit: str = "MB") -> None:
        """Record a size."""
        self.add_metric(name, value, idx, unit)

    def add_percent(self, name: str, value: object, idx: int | None = None) -> None:
        """Record a share."""
        self.add_metric(name, value, idx, "percent")

    def add_error(self, name: str, value: object) -> None:
        """Record an error."""
        self.add_metric(name, value, None, "")
