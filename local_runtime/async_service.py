"""All asynchronous endpoints of this process, and what it finds of an earlier life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from hosting.endpoint import AsyncSpec
from local_runtime.async_backlog import Backlog
from local_runtime.async_delivery import Tools
from local_runtime.async_queue import AsyncQueue, QueuedEndpoint
from local_runtime.clock import Clock
from local_runtime.control_link import ControlLink
from local_runtime.endpoints import Endpoint
from local_runtime.meters import Meters
from local_runtime.notifications import Publisher
from local_runtime.object_transfer import ObjectTransfer
from local_runtime.provisioning import SPOOL
from local_runtime.settings import RuntimeSettings

QUEUE: Final = "async"
"""The folder below the state directory with the requests that wait."""

_log = logging.getLogger(__name__)

_DELETED = "The endpoint was deleted before the request was processed."


class AsyncService:
    """Opens and closes the queues of endpoints. Call ``open`` before anything else."""

    def __init__(
        self,
        settings: RuntimeSettings,
        *,
        state_dir: Path,
        control_socket: str,
        meters: Meters,
        clock: Clock,
    ) -> None:
        self._spool = state_dir / SPOOL
        link = ControlLink(control_socket)
        self._tools = Tools(
            queue=AsyncQueue(state_dir / QUEUE),
            transfer=ObjectTransfer(link, self._spool),
            publisher=Publisher(link),
            meters=meters,
            clock=clock,
            settings=settings,
            threads=ThreadPoolExecutor(
                settings.limits.async_transfers, thread_name_prefix="async-transfer"
            ),
        )
        self._backlogs: dict[tuple[str, str], Backlog] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()

    async def open(self, desired: Iterable[Mapping[str, Any]]) -> None:
        """Open the queue and take up what is left in it.

        Args:
            desired: the endpoints that exist, as the control plane lists them.

        Raises:
            QueueUnavailableError: the queue's file cannot be opened.
        """
        queue = self._tools.queue
        await queue.open()
        await asyncio.to_thread(self._spool.mkdir, exist_ok=True)
        existing = {(entry["region"], entry["name"]) for entry in desired}
        for left in await queue.endpoints(are_open=True):
            # The control plane forgets an endpoint only after we have closed its queue. One that it
            # does not know lived in an earlier control plane, and so did its buckets and topics.
            if (left.region, left.name) not in existing:
                count = await queue.forget_endpoint(left.id)
                if count:
                    _log.warning(
                        "endpoint %s is not known any more: %s of its requests are dropped",
                        left.name,
                        count,
                    )
        for left in await queue.endpoints(are_open=False):
            self._end(await self._left(left))

    async def serve(self, endpoint: Endpoint, config: Mapping[str, Any]) -> None:
        """Give an endpoint the queue that its configuration asks for, or none.

        Args:
            config: its CreateEndpointConfig request.
        """
        async_config = config.get("AsyncInferenceConfig")
        if async_config is None:
            await self.close(endpoint)
            return
        async with self._changing:
            await self._serve(endpoint, async_config, config["ProductionVariants"][0])

    async def _serve(
        self,
        endpoint: Endpoint,
        async_config: Mapping[str, Any],
        first_variant: Mapping[str, Any],
    ) -> None:
        key = (endpoint.region, endpoint.name)
        variant = first_variant["VariantName"]
        endpoint_id = await self._tools.queue.open_endpoint(
            region=endpoint.region,
            account_id=endpoint.account_id,
            name=endpoint.name,
            config={**async_config, "variant": variant},
        )
        spec = AsyncSpec.from_api(async_config)
        backlog = self._backlogs.get(key)
        if backlog is None:
            backlog = Backlog(self._tools, endpoint, endpoint_id, spec, variant)
            self._backlogs[key] = endpoint.backlog = backlog
            await backlog.recover()
        else:
            backlog.reconfigure(spec, variant)

    async def close(self, endpoint: Endpoint) -> None:
        """The endpoint is gone, or does not answer from a queue any more: what waits fails.

        It returns when that is certain, not when it has happened.
        """
        async with self._changing:
            backlog = self._backlogs.pop((endpoint.region, endpoint.name), None)
            endpoint.backlog = None
            if backlog is None:
                # The process may have died between two steps of a deletion.
                for left in await self._tools.queue.endpoints(are_open=True):
                    if (left.region, left.name) == (endpoint.region, endpoint.name):
                        backlog = await self._left(left)
            if backlog is not None:
                await self._tools.queue.close_endpoint(backlog.endpoint_id)
                self._end(backlog)

    async def stop(self) -> None:
        """Leave everything to the next life of this process."""
        await asyncio.gather(*(backlog.stop() for backlog in self._backlogs.values()))
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._tools.threads.shutdown(wait=False, cancel_futures=True)
        await self._tools.queue.close()

    async def _left(self, left: QueuedEndpoint) -> Backlog:
        """The queue of an endpoint that nothing serves any more."""
        endpoint = Endpoint(left.name, region=left.region, account_id=left.account_id)
        spec = AsyncSpec.from_api(left.config)
        backlog = Backlog(self._tools, endpoint, left.id, spec, left.config["variant"])
        await backlog.recover()
        return backlog

    def _end(self, backlog: Backlog) -> None:
        backlog.close(_DELETED)
        task = asyncio.get_running_loop().create_task(self._finish(backlog))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _finish(self, backlog: Backlog) -> None:
        await backlog.finished()
        await self._tools.queue.forget_endpoint(backlog.endpoint_id)
