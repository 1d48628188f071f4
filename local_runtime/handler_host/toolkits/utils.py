"""Small functions of sagemaker_inference that handlers import."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def read_file(path: str, mode: str = "r") -> str | bytes:
    """The content of a file."""
    with open(path, mode) as file:
        content: str | bytes = file.read()
        return content


def write_file(path: str, data: str | bytes, mode: str = "w") -> None:
    """Write a file."""
    with open(path, mode) as file:
        file.write(data)


def retrieve_content_type_header(request_property: Mapping[str, str]) -> str | None:
    """The content type of a request, whichever way the header is spelt."""
    for name, value in request_property.items():
        if name.lower().replace("-", "").startswith("contenttype"):
            return value
    return None


def parse_accept(accept: str) -> list[str]:
    """The media types of an Accept header, in its order; weights stay where they are."""
    return accept.replace(" ", "").split(",")


def remove_crlf(illegal_string: str) -> str:
    """The text on one line."""
    return illegal_string.replace("\r", " ").replace("\n", " ")
