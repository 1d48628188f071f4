"""``worker.Response``: what sagemaker_containers calls Flask's response, without Flask."""

from __future__ import annotations

from .content_types import JSON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

_TEXT_APPLICATIONS = frozenset(
    {
        "application/ecmascript",
        "application/javascript",
        "application/sql",
        "application/xml",
        "application/xml-dtd",
        "application/xml-external-parsed-entity",
    }
)


def content_type_of(mimetype: str) -> str:
    """The Content-Type that Werkzeug makes of a media type: text gets a charset, even twice."""
    if mimetype.startswith("text/") or mimetype in _TEXT_APPLICATIONS or mimetype.endswith("+xml"):
        return f"{mimetype}; charset=utf-8"
    return mimetype


class Headers:
    """Response headers; names compare in any case, the last value of a name wins."""

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        self._values: dict[str, tuple[str, str]] = {}
        self.update({} if values is None else values)

    def update(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Set every header in ``values``."""
        for name, value in dict(values).items():
            self[name] = value

    extend = update

    def __setitem__(self, name: str, value: object) -> None:
        self._values[name.lower()] = (name, str(value))

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()][1]

    def __delitem__(self, name: str) -> None:
        self._values.pop(name.lower(), None)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._values.values())

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> list[tuple[str, str]]:
        """Names as they were set, with their values."""
        return list(self._values.values())

    def keys(self) -> list[str]:
        """Names as they were set."""
        return [name for name, _ in self._values.values()]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a header, or ``default``."""
        found = self._values.get(name.lower())
        return default if found is None else found[1]

    def add(self, name: str, value: object) -> None:
        """Set one header."""
        self[name] = value

    set = add


class Response:
    """Body, status and headers; ``response`` may be an iterable of parts, sent as they come.

    The default media type is JSON, as in sagemaker_containers and unlike Flask.
    """

    default_mimetype = JSON

    def __init__(  # noqa: PLR0917  (Flask's signature)
        self,
        response: Any = None,
        accept: str | None = None,  # noqa: ARG002  (sagemaker_containers ignores it too)
        status: int | str = 200,
        headers: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None,
        mimetype: str | None = None,
        direct_passthrough: bool = False,
        content_type: str | None = None,
    ) -> None:
        self.headers = Headers(headers)
        self.direct_passthrough = direct_passthrough
        self.status = status
        if content_type is None and not (mimetype is None and "content-type" in self.headers):
            content_type = content_type_of(self.default_mimetype if mimetype is None else mimetype)
        if content_type is not None:
            self.headers["Content-Type"] = content_type
        self.response: Iterable[Any] = []
        if isinstance(response, (str, bytes, bytearray)):
            self.set_data(response)
        elif response is not None:
            self.response = response

    @property
    def is_sequence(self) -> bool:
        """False for a body that is produced while it is sent."""
        return isinstance(self.response, (list, tuple))

    def get_data(self, as_text: bool = False) -> Any:
        """The whole body; an iterator is read to its end."""
        parts = [part.encode() if isinstance(part, str) else bytes(part) for part in self.response]
        body = b"".join(parts)
        self.response = [body]
        return body.decode() if as_text else body

    def set_data(self, value: str | bytes | bytearray) -> None:
        """Replace the body."""
        self.response = [value.encode() if isinstance(value, str) else bytes(value)]

    data = property(get_data, set_data, doc="The body as bytes.")

    def get_json(self, **_: object) -> Any:
        """The body parsed as JSON."""
        import json  # noqa: PLC0415

        return json.loads(self.get_data())

    json = property(get_json, doc="The body parsed as JSON.")

    @property
    def status(self) -> str:
        """Status code and reason phrase."""
        return self._status

    @status.setter
    def status(self, value: int | str) -> None:
        code, _, phrase = str(value).partition(" ")
        self.status_code = int(code)
        self._status = str(value) if phrase else f"{code} {'OK' if code == '200' else 'UNKNOWN'}"

    @property
    def content_type(self) -> str | None:
        """The Content-Type header."""
        value: str | None = self.headers.get("Content-Type")
        return value

    @content_type.setter
    def content_type(self, value: str) -> None:
        self.headers["Content-Type"] = value

    @property
    def mimetype(self) -> str | None:
        """The media type without its parameters."""
        return None if self.content_type is None else self.content_type.partition(";")[0].strip()

    @mimetype.setter
    def mimetype(self, value: str) -> None:
        self.headers["Content-Type"] = content_type_of(value)
