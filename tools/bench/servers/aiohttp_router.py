"""A router of a framework's server and a framework's client: each container in turn.

python aiohttp_router.py PORT CONTAINER_URL...
"""

# It runs in an environment of its own, with libraries that are not ours.
# mypy: ignore-errors

import sys

import aiohttp
from aiohttp import web


async def invoke(request):
    body, content_type = await request.read(), request.content_type
    for url in sys.argv[2:]:
        headers = {"content-type": content_type, "accept": "application/json"}
        async with request.app["client"].post(url, data=body, headers=headers) as answer:
            body, content_type = await answer.read(), answer.content_type
    return web.Response(body=body, content_type=content_type)


async def client(app):
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        app["client"] = session
        yield


app = web.Application()
app.cleanup_ctx.append(client)
app.router.add_post("/{path:.*}", invoke)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
