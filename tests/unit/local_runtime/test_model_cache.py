"""The memory and the disk of a multi-model container, apart from any container."""

from __future__ import annotations

import asyncio
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosting.eviction import DoesNotFitError
from local_runtime.artifacts import ObjectMissingError, ObjectStore, S3Location
from local_runtime.model_cache import DiskFullError, ModelDisk, ModelMemory, model_id
from local_runtime.multi_model_plan import (
    disk_budget,
    memory_budget,
    multi_model_environment,
)
from local_runtime.settings import Limits

GIB = 1024**3


class Bucket(ObjectStore):
    """Objects in a dictionary instead of behind the control plane's socket."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        super().__init__("")
        self.objects = objects
        self.downloads: list[str] = []

    def download(self, location: S3Location, target: Path, _: threading.Event) -> None:
        self.downloads.append(location.key)
        if location.key not in self.objects:
            raise ObjectMissingError(location.key)
        target.write_bytes(self.objects[location.key])

    def keys(self, prefix: S3Location) -> Iterator[str]:
        yield from (key for key in self.objects if key.startswith(prefix.key))


def archive(size: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("weights")
        member.size = size
        tar.addfile(member, io.BytesIO(bytes(size)))
    return packed.getvalue()


def disk(folder: Path, bucket: Bucket, *, prefix: str = "models/", budget: int = 250) -> ModelDisk:
    return ModelDisk(folder, S3Location("b", prefix), bucket, budget_bytes=budget, limits=Limits())


@pytest.mark.parametrize(
    ("prefix", "target", "key"),
    [
        ("models/", "austin.tar.gz", "models/austin.tar.gz"),
        ("models", "austin.tar.gz", "models/austin.tar.gz"),
        ("models/", "/austin.tar.gz", "models/austin.tar.gz"),
        ("models/", "us/austin", "models/us/austin"),
        ("", "austin.tar.gz", "austin.tar.gz"),
    ],
)
def test_prefix_and_target_model_are_joined_with_one_slash(
    tmp_path: Path, prefix: str, target: str, key: str
) -> None:
    assert disk(tmp_path, Bucket({}), prefix=prefix).location(target) == S3Location("b", key)


def test_a_target_model_cannot_name_a_folder_outside(tmp_path: Path) -> None:
    path = disk(tmp_path, Bucket({})).path("../../etc/passwd")

    assert path.is_relative_to(tmp_path)
    assert ".." not in path.parts
    assert model_id("a") != model_id("b")


async def _fill(held: ModelDisk, *names: str) -> None:
    for name in names:
        await held.fetch(name)


def test_the_model_used_longest_ago_is_deleted_from_a_full_disk(tmp_path: Path) -> None:
    bucket = Bucket({f"models/{name}": archive(100) for name in "abc"})

    async def scenario() -> ModelDisk:
        held = disk(tmp_path, bucket)
        await _fill(held, "a", "b")
        held.use("a")
        held.release("a")
        await held.fetch("c")
        await held.fetch("b")  # waits for its own deletion
        async with asyncio.timeout(60):
            while held.path("a").exists():  # noqa: ASYNC110 - a thread deletes it
                await asyncio.sleep(0.001)
        return held

    held = asyncio.run(scenario())

    assert [name for name in "abc" if name in held] == ["b", "c"]
    assert held.path("b").is_dir()
    assert bucket.downloads == ["models/a", "models/b", "models/c", "models/b"]


def test_models_in_memory_stay_on_a_full_disk(tmp_path: Path) -> None:
    bucket = Bucket({f"models/{name}": archive(100) for name in "abc"})

    async def scenario() -> ModelDisk:
        held = disk(tmp_path, bucket)
        await _fill(held, "a", "b")
        held.use("a")
        held.use("b")
        with pytest.raises(DiskFullError):
            await held.fetch("c")
        return held

    held = asyncio.run(scenario())

    assert "a" in held
    assert not held.path("c").parent.exists()


def test_a_model_that_is_missing_leaves_no_folder(tmp_path: Path) -> None:
    held = disk(tmp_path, Bucket({}))

    with pytest.raises(ObjectMissingError):
        asyncio.run(_fill(held, "absent"))

    assert not held.path("absent").parent.exists()


def test_models_whose_object_is_gone_are_named(tmp_path: Path) -> None:
    bucket = Bucket({f"models/{name}": archive(10) for name in "ab"})

    async def scenario() -> list[str]:
        held = disk(tmp_path, bucket)
        await _fill(held, "a", "b")
        del bucket.objects["models/a"]
        return await held.without_object()

    assert asyncio.run(scenario()) == ["a"]


def test_memory_is_reserved_when_a_model_in_use_has_been_answered() -> None:
    async def scenario() -> list[str]:
        memory = ModelMemory(10)
        await memory.reserve("a")
        memory.measured("a", 8)
        waiting = asyncio.create_task(memory.reserve("b"))  # likely to be like a
        await asyncio.sleep(0)
        assert not waiting.done()
        memory.unpin("a")
        return await waiting

    assert asyncio.run(scenario()) == ["a"]


def test_a_model_known_to_be_too_large_is_not_waited_for() -> None:
    async def scenario() -> None:
        memory = ModelMemory(10)
        await memory.reserve("large")
        memory.measured("large", 11)
        memory.remove("large")
        await memory.reserve("small")
        memory.remove("small")
        await memory.reserve("large")

    with pytest.raises(DoesNotFitError):
        asyncio.run(scenario())


def test_the_memory_of_models_is_a_share_of_the_instance_within_the_setting() -> None:
    limits = Limits(multi_model_memory_bytes=100 * GIB)

    assert memory_budget("ml.m5.large", limits) == int(8 * GIB * 0.8)
    assert memory_budget("ml.m5.large", Limits(multi_model_memory_bytes=GIB)) == GIB
    assert memory_budget(None, limits) == 100 * GIB


def test_the_disk_of_models_is_the_volume_within_the_setting() -> None:
    assert disk_budget(5, Limits()) == 5 * GIB
    assert disk_budget(None, Limits()) == 20 * GIB
    assert disk_budget(100, Limits()) == 20 * GIB


def test_a_multi_model_container_names_no_model_folder_and_keeps_its_own_threads() -> None:
    model = {"OMP_NUM_THREADS": "4", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"}
    environment = multi_model_environment(
        {**model, "SM_MODEL_DIR": "/x", "SAGEMAKER_SUBMIT_DIRECTORY": "/x/code"}, model
    )

    assert environment["SAGEMAKER_MULTI_MODEL"] == "true"
    assert environment["OMP_NUM_THREADS"] == "4"
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    assert environment["SAGEMAKER_SUBMIT_DIRECTORY"] == "/opt/ml/model/code"
    assert "SM_MODEL_DIR" not in environment
