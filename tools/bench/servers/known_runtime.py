"""A serverless endpoint API whose behaviour is known by construction, and which logs what it did.

python known_runtime.py PORT SEED

An environment answers one request at a time and is kept for good. A request that finds all of an
endpoint's environments busy starts another (a cold start), up to MaxConcurrency; beyond that it is
throttled. Service times are drawn from a log-normal distribution. ``GET /truth`` gives, for each
endpoint, every request in order: [when, service time or null when throttled, cold start time].

It speaks what a benchmark needs: InvokeEndpoint, the life of endpoints, GetMetricStatistics.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import statistics
import sys
import time
from dataclasses import dataclass, field

MEDIAN_S = 0.04
SIGMA = 0.5
COLD_S = (0.3, 0.5)
_DEFAULT_CONCURRENCY = 4

Headers = dict[str, str]
Reply = tuple[int, Headers, bytes]


def quantile_s(p: float) -> float:
    """The true quantile of the service time of a warm request."""
    return MEDIAN_S * math.exp(SIGMA * statistics.NormalDist().inv_cdf(p))


def mean_s() -> float:
    """The true mean of the service time of a warm request."""
    return MEDIAN_S * math.exp(SIGMA**2 / 2)


def blocked_share(rate_per_s: float, max_concurrency: int) -> float:
    """The share of Poisson arrivals that find all environments busy: Erlang's loss formula."""
    load, blocked = rate_per_s * mean_s(), 1.0
    for servers in range(1, max_concurrency + 1):
        blocked = load * blocked / (servers + load * blocked)
    return blocked


@dataclass
class Endpoint:
    """One endpoint, and all that it did."""

    max_concurrency: int
    random: random.Random
    busy: int = 0
    environments: int = 0
    log: list[list[float | None]] = field(default_factory=list)

    async def invoke(self) -> Reply:
        """Answer a request, or throttle it."""
        now_s = time.time()
        if self.busy == self.max_concurrency:
            self.log.append([now_s, None, 0.0, 0.0])
            return 400, {"x-amzn-errortype": "ThrottlingException"}, b'{"message":null}'
        cold_s = 0.0
        if self.busy == self.environments:
            self.environments += 1
            cold_s = self.random.uniform(*COLD_S)
        service_s = self.random.lognormvariate(math.log(MEDIAN_S), SIGMA)
        row: list[float | None] = [now_s, service_s, cold_s, None]
        self.log.append(row)
        self.busy += 1
        began_s = time.monotonic()
        await _until(began_s + cold_s + service_s)
        row[3] = time.monotonic() - began_s
        self.busy -= 1
        return 200, {"content-type": "application/json"}, b'{"score": 0.5}'

    def metric(self, name: str) -> dict[str, object] | None:
        """A data point of GetMetricStatistics over all time; None when there is none."""
        served = [row for row in self.log if row[1] is not None]
        values = {
            "ModelLatency": [1e6 * (row[1] or 0.0) for row in served],
            "ModelSetupTime": [1e6 * row[2] for row in served if row[2]],
            "OverheadLatency": [500 + 1e6 * (row[2] or 0.0) for row in served],
            "MemoryUtilization": [20.0 for _ in served],
        }[name]
        if not values:
            return None
        ordered = sorted(values)
        return {
            "Timestamp": time.time(),
            "SampleCount": len(values),
            "Average": statistics.fmean(values),
            "Minimum": ordered[0],
            "Maximum": ordered[-1],
            "Unit": "Percent" if name == "MemoryUtilization" else "Microseconds",
            "ExtendedStatistics": {
                f"p{p}": ordered[min(len(ordered) - 1, len(ordered) * p // 100)]
                for p in (25, 50, 75)
            },
        }


async def _until(moment_s: float) -> None:
    """Wait to a few microseconds: the loop's own timers are up to 2 ms late."""
    await asyncio.sleep(moment_s - time.monotonic() - 0.002)
    while time.monotonic() < moment_s:  # noqa: ASYNC110 - a moment, not an event
        await asyncio.sleep(0)


class NotFoundError(Exception):
    """What is asked for was deleted, or never was."""


class Runtime:
    """The API."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._configs: dict[str, int] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._deleted: set[str] = set()  # their logs are kept

    async def answer(self, method: str, path: str, headers: Headers, body: bytes) -> Reply:
        """Answer one request of the API."""
        if method == "GET":
            truth = {name: endpoint.log for name, endpoint in self._endpoints.items()}
            return 200, {}, json.dumps(truth).encode()
        if path.startswith("/endpoints/"):
            return await self._endpoints[path.split("/")[2]].invoke()
        operation = headers.get("x-amz-target", "").partition(".")[2]
        perform = getattr(self, f"_{operation}", None)
        if perform is None:
            named = {"x-amzn-errortype": "AccessDeniedException"}
            return 400, named, b'{"__type": "AccessDeniedException", "message": "not played"}'
        try:
            result = perform(json.loads(body))
        except NotFoundError as error:
            named = {"x-amzn-errortype": "ValidationException"}
            message = f"Could not find {error}."
            return (
                400,
                named,
                json.dumps({"__type": "ValidationException", "message": message}).encode(),
            )
        kind = headers["content-type"]
        return 200, {"content-type": kind}, json.dumps(result).encode()

    def _DescribeModel(self, asked: dict[str, object]) -> object:  # noqa: N802
        return {
            "ModelName": asked["ModelName"],
            "ModelArn": f"arn:aws:sagemaker:us-east-1:123456789012:model/{asked['ModelName']}",
            "PrimaryContainer": {"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/known:1"},
            "CreationTime": 0,
        }

    def _CreateEndpointConfig(self, asked: dict[str, object]) -> object:  # noqa: N802
        variants = asked["ProductionVariants"]
        self._configs[str(asked["EndpointConfigName"])] = variants[0]["ServerlessConfig"][  # type: ignore[index]
            "MaxConcurrency"
        ]
        return {"EndpointConfigArn": f"arn:aws:sagemaker:::{asked['EndpointConfigName']}"}

    def _CreateEndpoint(self, asked: dict[str, object]) -> object:  # noqa: N802
        name = str(asked["EndpointName"])
        concurrency = self._configs[str(asked["EndpointConfigName"])]
        seeded = random.Random(f"{self._seed} {len(self._endpoints)}")  # noqa: S311 - no secret
        self._endpoints[name] = Endpoint(concurrency, seeded)
        return {"EndpointArn": f"arn:aws:sagemaker:::{name}"}

    def _DescribeEndpoint(self, asked: dict[str, object]) -> object:  # noqa: N802
        name = str(asked["EndpointName"])
        if name in self._deleted:
            raise NotFoundError(f'endpoint "{name}"')
        return {
            "EndpointName": name,
            "EndpointArn": f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}",
            "EndpointConfigName": name,
            "EndpointStatus": "InService",
            "CreationTime": 0,
            "LastModifiedTime": 0,
        }

    def _DeleteEndpoint(self, asked: dict[str, object]) -> object:  # noqa: N802
        self._deleted.add(str(asked["EndpointName"]))
        return {}

    def _DescribeEndpointConfig(self, asked: dict[str, object]) -> object:  # noqa: N802
        name = str(asked["EndpointConfigName"])
        if name not in self._configs:
            raise NotFoundError(f'endpoint configuration "{name}"')
        return {"EndpointConfigName": name, "CreationTime": 0}

    def _DeleteEndpointConfig(self, asked: dict[str, object]) -> object:  # noqa: N802
        self._configs.pop(str(asked["EndpointConfigName"]), None)
        return {}

    def _GetMetricStatistics(self, asked: dict[str, object]) -> object:  # noqa: N802
        dimensions = {each["Name"]: each["Value"] for each in asked["Dimensions"]}  # type: ignore[attr-defined]
        point = self._endpoints[dimensions["EndpointName"]].metric(str(asked["MetricName"]))
        points = [] if point is None else [point]
        return {"Label": asked["MetricName"], "Datapoints": points}


async def _converse(
    runtime: Runtime, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ")
            fields = (line.partition(":") for line in head[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in fields}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            status, named, content = await runtime.answer(method, path, headers, body)
            lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}"]
            lines += [f"{name}: {value}" for name, value in named.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode() + content)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _main() -> None:
    runtime = Runtime(int(sys.argv[2]))
    server = await asyncio.start_server(
        lambda reader, writer: _converse(runtime, reader, writer), "127.0.0.1", int(sys.argv[1])
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
