"""An endpoint that answers at once and knows when each request came.

python null_endpoint.py PORT

``GET /arrivals`` gives the arrivals since it was last asked, as JSON, in seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
from array import array
from time import monotonic
from typing import Any

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
_LENGTH = b"content-length:"
_arrivals = array("d")


class Endpoint(asyncio.Protocol):
    """A connection; a request's head is read for its length and nothing else."""

    def connection_made(self, transport: Any) -> None:
        """Keep it."""
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        self._received = self._received + data if self._received else data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            start = head.find(_LENGTH)
            length = 0
            if start >= 0:
                length = int(head[start + len(_LENGTH) :].partition(b"\r\n")[0])
            if len(self._received) < end + 4 + length:
                return
            self._received = self._received[end + 4 + length :]
            if head.startswith(b"get /arrivals"):
                content = json.dumps(list(_arrivals)).encode()
                del _arrivals[:]
                self._transport.write(
                    b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content)
                )
            else:
                _arrivals.append(monotonic())
                self._transport.write(_ANSWER)


async def _main() -> None:
    server = await asyncio.get_running_loop().create_server(Endpoint, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main())
