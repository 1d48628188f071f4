"""Requests and answers on their way from and to S3. Everything here blocks and runs in a thread.

A large body never stands in memory as a whole: it is a file, mapped where bytes are wanted.
"""

from __future__ import annotations

import mmap
import tempfile
import xml.etree.ElementTree as ET
from http.client import HTTPResponse
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from local_runtime.artifacts import S3Location
from local_runtime.control_link import ControlLink, ControlLinkError
from local_runtime.http_client import SPOOLED_FROM_BYTES, Body

_PIECE_BYTES: Final = 1024 * 1024
_HOST: Final = "s3.localhost"


class TransferError(Exception):
    """An object could not be transferred.

    Args:
        code: S3's error code; None when S3 has not answered, so that trying again may help.
    """

    def __init__(self, code: str | None, message: str) -> None:
        super().__init__(message)
        self.code = code


class ObjectTransfer:
    """Reads and writes objects through the control plane's socket."""

    def __init__(self, link: ControlLink, spool: Path) -> None:
        """``spool`` is the folder for large bodies; what stands there has no name."""
        self._link = link
        self._spool = spool

    def download(self, location: S3Location, *, limit: int) -> Body:
        """The content of an object.

        Raises:
            TransferError: there is no such object, it cannot be read, or it has more than
                ``limit`` bytes.
        """
        try:
            with self._link.exchange("GET", _target(location), {"Host": _HOST}) as response:
                if response.status != 200:
                    raise _refusal(response, location, "download")
                size = response.length
                if size is not None and size > limit:
                    raise TransferError(
                        "EntityTooLarge",
                        f"{location} must have at most {limit} bytes, got {size}",
                    )
                if size is not None and size < SPOOLED_FROM_BYTES:
                    return response.read()
                with tempfile.TemporaryFile(dir=self._spool) as file:
                    while piece := response.read(_PIECE_BYTES):
                        file.write(piece)
                    file.flush()
                    return _mapped(file) if file.tell() else b""
        except (ControlLinkError, OSError) as error:
            raise TransferError(None, f"could not download {location}: {error}") from error

    def upload(
        self,
        location: S3Location,
        content: bytes | Path,
        *,
        content_type: str | None,
        kms_key_id: str | None,
    ) -> None:
        """Write an object.

        Raises:
            TransferError: it cannot be written.
        """
        headers = {"Host": _HOST}
        if content_type is not None:
            headers["Content-Type"] = content_type
        if kms_key_id is not None:
            headers["x-amz-server-side-encryption"] = "aws:kms"
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = kms_key_id
        try:
            if isinstance(content, bytes):
                self._put(location, headers, content)
            else:
                with content.open("rb") as file:
                    self._put(location, headers, _mapped(file))
        except (ControlLinkError, OSError) as error:
            raise TransferError(None, f"could not upload {location}: {error}") from error

    def _put(self, location: S3Location, headers: dict[str, str], body: Body) -> None:
        with self._link.exchange("PUT", _target(location), headers, body) as response:
            if response.status != 200:
                raise _refusal(response, location, "upload")


def _target(location: S3Location) -> str:
    return f"/{location.bucket}/{quote(location.key)}"


def _refusal(response: HTTPResponse, location: S3Location, verb: str) -> TransferError:
    status = response.status
    try:
        # The control plane wrote it: no document of a stranger.
        document = ET.fromstring(response.read())  # noqa: S314
    except ET.ParseError:
        code = str(status)
    else:
        code = document.findtext("Code", str(status))
    return TransferError(
        None if status >= 500 else code, f"could not {verb} {location}: S3 answered {code}"
    )


def _mapped(file: IO[bytes]) -> memoryview:
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
