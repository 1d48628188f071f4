"""Albums between containers: photos by name, and the ones that were rejected with the reason."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, NamedTuple

from exchange import JSON, Refused, media_type, text, unsupported

if TYPE_CHECKING:
    from typing import Any


class Album(NamedTuple):
    """What one container knows of an album.

    Args:
        photos: what is known of each photo; ``name`` is one of its keys.
        rejected: name and reason of each photo that no later container sees.
    """

    photos: list[dict[str, Any]]
    rejected: list[dict[str, str]]


def read_album(body: str | bytes, content_type: str, keys: tuple[str, ...]) -> Album:
    """Read ``{"photos": [{"name": ..., key: ...}, ...], "rejected": [...]}``.

    Raises:
        Refused: the body is another format, or a photo lacks one of ``keys``.
    """
    if media_type(content_type) != JSON:
        raise unsupported(content_type, (JSON,))
    try:
        document = json.loads(text(body))
    except (ValueError, RecursionError) as error:
        raise Refused(f"the body must be JSON: {error}") from error
    photos = document.get("photos") if isinstance(document, dict) else None
    if not isinstance(photos, list) or not all(isinstance(photo, dict) for photo in photos):
        raise Refused('the body must be {"photos": [{...}, ...]}')
    for number, photo in enumerate(photos, start=1):
        missing = [key for key in keys if key not in photo]
        if missing:
            raise Refused(f"photo {number} must have {', '.join(keys)}, got no {missing[0]}")
    return Album(photos, document.get("rejected", []))


def write_album(album: Album, **more: object) -> str:
    """The album as JSON; ``more`` comes first, for it is what a reader looks for."""
    return json.dumps({**more, "photos": album.photos, "rejected": album.rejected})


def decode(photo: dict[str, Any]) -> bytes:
    """The image of a photo.

    Raises:
        Refused: it is not base64, naming the photo.
    """
    try:
        return base64.b64decode(photo["image"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise Refused(f"photo {photo['name']!r} must be base64, got {error}") from error


def encode(image: bytes) -> str:
    """The image as text for JSON."""
    return base64.b64encode(image).decode()
