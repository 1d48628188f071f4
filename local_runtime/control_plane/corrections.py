"""Everything about moto that this runtime corrects, with the version and the symptom.

A correction goes when a newer moto does not need it; the version below is the one they were made
against.
"""

from __future__ import annotations

import re
from typing import Any

MOTO_VERSION = "5.2.5"

_S3_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]+)\.)??(?:s3(?:[.-][a-z0-9-]+)*\.)?localhost(?P<port>:\d+)?"
)


def use_path_style(environ: dict[str, Any]) -> None:
    """Move an S3 bucket from the host name into the path.

    moto 5.2.5 takes the first label of any host with a dot as the bucket: ``s3.localhost`` names
    a bucket ``s3``, ``my.bucket.localhost`` a bucket ``my``. Also passes on the path as it was
    encoded, which moto needs to match a key with an encoded slash and only werkzeug provides.
    """
    raw = environ.get("REQUEST_URI", environ["PATH_INFO"])
    match = _S3_HOST.fullmatch(environ.get("HTTP_HOST", ""))
    if match is not None:
        environ["HTTP_HOST"] = f"localhost{match['port'] or ''}"
        if match["bucket"] is not None:
            environ["PATH_INFO"] = f"/{match['bucket']}{environ['PATH_INFO']}"
            raw = f"/{match['bucket']}{raw}"
    environ["RAW_URI"] = raw
