"""The practical floor: a protocol of httptools under uvloop that calls the handler in place.

python bare_asyncio.py SOCKET
"""

# It runs in an environment of its own, with libraries that are not ours.
# mypy: ignore-errors

import asyncio
import sys

import httptools
import inference
import uvloop

WEIGHTS = inference.model_fn("")


class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_body(self, piece):
        self.body += piece

    def on_message_complete(self):
        body, self.body = self.body, b""
        row = inference.input_fn(body.decode(), "text/csv")
        answer = inference.output_fn(inference.predict_fn(row, WEIGHTS), "application/json")
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(answer), answer.encode())
        )


async def main():
    server = await asyncio.get_running_loop().create_unix_server(Server, sys.argv[1])
    await server.serve_forever()


uvloop.run(main())
