"""The model servers inside AWS's framework images, and the limits they come with."""

from __future__ import annotations

from typing import Final

from hosting import limits

# Multi Model Server: huggingface; TorchServe: pytorch. Their defaults are below what an
# asynchronous endpoint allows. Source: async-inference-create-endpoint.html (2026-11-20)
_ASYNC_VARIABLES: Final = {
    "huggingface": (
        "MMS_DEFAULT_RESPONSE_TIMEOUT",
        "MMS_MAX_REQUEST_SIZE",
        "MMS_MAX_RESPONSE_SIZE",
    ),
    "pytorch": ("TS_DEFAULT_RESPONSE_TIMEOUT", "TS_MAX_REQUEST_SIZE", "TS_MAX_RESPONSE_SIZE"),
}


def async_environment(repository: str | None) -> dict[str, str]:
    """Variables that raise an image's own limits to those of asynchronous inference.

    Args:
        repository: of the image, where it is known. Images of other servers get no variables.
    """
    for prefix, (timeout, request, response) in _ASYNC_VARIABLES.items():
        if repository is not None and repository.startswith(prefix):
            return {
                timeout: str(limits.ASYNC_INVOCATION_TIMEOUT_S.maximum),
                request: str(limits.ASYNC_PAYLOAD_MAX_BYTES),
                response: str(limits.ASYNC_PAYLOAD_MAX_BYTES),
            }
    return {}
