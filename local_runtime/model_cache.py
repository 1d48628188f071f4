"""The models that one multi-model container has in memory and on its disk, each within a budget.

An artifact is fetched when its model is asked for, so a new object below the prefix is served
without a deployment. It stays on the disk until the budget needs its place, or its object is found
deleted; an object that is overwritten is not noticed, as on AWS ("do not overwrite").
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from pathlib import Path
from typing import Final

from hosting.eviction import DoesNotFitError, LeastRecentlyUsed
from local_runtime.artifacts import (
    CancelledFetchError,
    ObjectStore,
    S3Location,
    fetch_model,
    remove_tree,
)
from local_runtime.settings import Limits

MODELS: Final = "models"
"""The folder below a container's home that its models are unpacked in."""


class DiskFullError(Exception):
    """A model takes more than the disk gives to models, or all others are in memory now."""


class ModelMemory(LeastRecentlyUsed[str]):
    """The models in memory, at the sizes they had when they were measured last."""

    def __init__(self, budget: int) -> None:
        super().__init__(budget)
        # Also of models that have left; the others are likely to take what the last one took.
        self._measured: dict[str, int] = {}
        self._typical = 0
        self._changed = asyncio.Event()

    async def reserve(self, target_model: str) -> list[str]:
        """Take a model in as soon as it is likely to fit, pinned.

        Returns:
            Who has to leave for it.

        Raises:
            DoesNotFitError: it is larger than the budget.
        """
        known = self._measured.get(target_model)
        while True:
            size = min(self._typical, self.budget) if known is None else known
            try:
                victims = self.admit(target_model, size)
            except DoesNotFitError as error:
                if not error.ever:
                    raise
                await self.change()
            else:
                self.pin(target_model)
                return victims

    def measured(self, target_model: str, size: int) -> list[str]:
        """A model takes ``size``; who has to leave because of that."""
        self._measured[target_model] = self._typical = size
        return self.resize(target_model, size)

    async def change(self) -> None:
        """Wait until a model is not used any more, or has left, or its memory is really free."""
        self._changed.clear()
        await self._changed.wait()

    def freed(self) -> None:
        """The container has unloaded a model that left before."""
        self._changed.set()

    def unpin(self, name: str) -> None:
        super().unpin(name)
        self._changed.set()

    def remove(self, name: str) -> None:
        super().remove(name)
        self._changed.set()


def model_id(target_model: str) -> str:
    """The name under which containers know a model: opaque, usable in a path and as a folder."""
    return hashlib.sha256(target_model.encode()).hexdigest()[:32]


class ModelDisk:
    """Unpacked artifacts below one folder, within a budget.

    A model that is in memory is pinned: its handler may read files at any time.
    """

    def __init__(
        self,
        folder: Path,
        prefix: S3Location,
        store: ObjectStore,
        *,
        budget_bytes: int,
        limits: Limits,
    ) -> None:
        self._folder = folder
        self._prefix = prefix
        self._store = store
        self._limits = limits
        self._held = LeastRecentlyUsed[str](budget_bytes)
        # Folders that are being deleted: a model that returns waits for its own.
        self._deleting: dict[str, asyncio.Task[None]] = {}

    def location(self, target_model: str) -> S3Location:
        """The object of a model: the prefix and its name, with one slash between them."""
        prefix = self._prefix.key
        if prefix and not prefix.endswith("/"):
            prefix += "/"
        return S3Location(self._prefix.bucket, prefix + target_model.removeprefix("/"))

    def __contains__(self, target_model: str) -> bool:
        return target_model in self._held

    def path(self, target_model: str) -> Path:
        """Where a model is unpacked."""
        return self._folder / model_id(target_model) / "model"

    def use(self, target_model: str) -> None:
        """The model goes into memory: keep it until ``release``."""
        self._held.touch(target_model)
        self._held.pin(target_model)

    def release(self, target_model: str) -> None:
        """The model has left the memory."""
        self._held.unpin(target_model)

    async def fetch(self, target_model: str) -> None:
        """Download and unpack a model, and delete others where it takes their place.

        Raises:
            ArtifactError: it is missing, broken, or was refused.
            DiskFullError: it does not fit.
        """
        deleting = self._deleting.get(target_model)
        if deleting is not None:
            await deleting
        folder = self.path(target_model)
        cancelled = threading.Event()
        try:
            size = await asyncio.to_thread(self._download, target_model, folder, cancelled)
            evicted = self._held.admit(target_model, size)
        except DoesNotFitError as error:
            await asyncio.to_thread(remove_tree, folder.parent)
            raise DiskFullError(str(error)) from error
        except BaseException:
            cancelled.set()
            await asyncio.shield(asyncio.to_thread(remove_tree, folder.parent))
            raise
        for victim in evicted:
            self._delete(victim)

    def _download(self, target_model: str, folder: Path, cancelled: threading.Event) -> int:
        remove_tree(folder.parent)  # of an attempt that was cut short
        fetch_model(
            self._store,
            str(self.location(target_model)),
            compressed=True,
            folder=folder,
            limits=self._limits,
            cancelled=cancelled,
        )
        if cancelled.is_set():
            raise CancelledFetchError
        return _size(folder)

    def forget(self, target_model: str) -> None:
        """Delete a model; nothing when it is not here or in use."""
        if target_model in self._held and not self._held.pinned(target_model):
            self._held.remove(target_model)
            self._delete(target_model)

    async def without_object(self) -> list[str]:
        """The models on the disk whose object is gone.

        Raises:
            ArtifactError: the bucket cannot be listed.
        """
        held = list(self._held)
        if not held:
            return []
        keys = await asyncio.to_thread(lambda: set(self._store.keys(self.location(""))))
        return [name for name in held if self.location(name).key not in keys]

    def _delete(self, target_model: str) -> None:
        folder = self.path(target_model).parent
        task = asyncio.create_task(asyncio.to_thread(remove_tree, folder))
        self._deleting[target_model] = task
        task.add_done_callback(lambda _: self._deleting.pop(target_model, None))


def _size(folder: Path) -> int:
    """What the files of a folder take."""
    return sum(
        Path(parent, name).lstat().st_size for parent, _, files in os.walk(folder) for name in files
    )
