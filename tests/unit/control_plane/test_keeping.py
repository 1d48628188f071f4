"""What the control plane keeps, and how it refuses what it cannot."""

from __future__ import annotations

import contextlib
import io
import pickle
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from moto.ssm.models import SimpleSystemManagerBackend

from local_runtime.control_plane.keeping import graph
from local_runtime.control_plane.keeping.answers import KeptAnswers
from local_runtime.control_plane.keeping.database import (
    Item,
    Records,
    StateUnusableError,
    StateUnwritableError,
)
from local_runtime.control_plane.keeping.graph import NotKeepableError, NotReadableError
from local_runtime.control_plane.keeping.keeper import Keeper, Part
from local_runtime.control_plane.store import Deployment, Record

VERSIONS = {"moto": "1"}


def there_and_back(record: Any) -> Any:
    return graph.load(graph.dump(record, shapes={}))


def records(folder: Path) -> Records:
    opened = Records(folder / "records")
    opened.open(VERSIONS)
    return opened


class TestGraph:
    def test_records_of_ours_come_back_equal_and_leave_their_shape(self) -> None:
        shapes: dict[str, list[str]] = {}
        record = Deployment(config={"EndpointConfigName": "c"}, models={}, weights={"a": 0.5})

        again = graph.load(graph.dump({"x": record, "y": record}, shapes=shapes))

        assert again["x"] == record
        assert again["x"] is again["y"]
        [(name, fields)] = shapes.items()
        assert graph.shape_now(name) == fields
        assert "weights" in fields

    def test_what_pickle_cannot_write_comes_back_anew(self) -> None:
        event = threading.Event()
        event.set()
        held = {"lock": threading.Lock(), "twice": threading.RLock(), "event": event}

        again = there_and_back({**held, "changed": threading.Condition()})

        assert again["lock"].acquire(blocking=False)
        assert again["twice"].acquire(blocking=False)
        assert again["event"].is_set()
        with again["changed"]:
            again["changed"].notify_all()

    def test_a_private_key_signs_as_before(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

        again = there_and_back(key)

        assert again.private_numbers() == key.private_numbers()

    def test_a_function_without_a_name_is_found_where_it_stands(self) -> None:
        backend = SimpleSystemManagerBackend("us-east-1", "123456789012")
        tags = vars(backend)["_resource_tags"]

        again = there_and_back(tags)

        assert isinstance(again, defaultdict)
        assert again["Parameter"]["/a"] == {}

    @pytest.mark.parametrize(
        "thing", [open, lambda: None, io.BytesIO(), threading.Thread()], ids=lambda t: str(type(t))
    )
    def test_what_is_no_record_is_not_written(self, thing: Any) -> None:
        with pytest.raises(NotKeepableError):
            graph.dump([thing], shapes={})

    @pytest.mark.parametrize(
        "harmful",
        [
            b"cos\nsystem\n(S'true'\ntR.",
            b"cbuiltins\neval\n(S'1'\ntR.",
            pickle.PROTO + b"\x04\x8c\x14moto.core.base_backend\x8c\x06Session\x93.",
            b"clocal_runtime.artifacts\nremove_tree\n.",
            b"clocal_runtime.artifacts\nshutil.rmtree\n.",
            b"cmoto.core.utils\nos.system\n.",
            b"garbage",
            b"",
        ],
    )
    def test_what_may_not_be_named_is_not_read(self, harmful: bytes) -> None:
        with pytest.raises(NotReadableError):
            graph.load(harmful)


class TestRecords:
    def test_a_transaction_that_fails_leaves_all_as_it_was(self, tmp_path: Path) -> None:
        kept = records(tmp_path)
        key = ("object", "bucket", "name")
        kept.write({"part": b"1"}, {key: Item(b"one", {"c": b"content"})}, None)

        with pytest.raises(StateUnwritableError):
            # The second item would have the first one's content.
            kept.write({"part": b"2"}, {("object", "bucket", "x"): Item(b"", {"c": b""})}, None)

        assert kept.parts() == {"part": b"1"}
        assert list(kept.items("object")) == [(key, b"one", {"c": b"content"})]
        kept.close()

    def test_contents_in_files_go_with_the_item_that_needs_them(self, tmp_path: Path) -> None:
        kept = records(tmp_path)
        key = ("object", "bucket", "name")
        old, new = kept.store_content(b"old"), kept.store_content(b"new")

        kept.write({}, {key: Item(b"", {old: None})}, None)
        kept.write({}, {key: Item(b"", {new: None})}, None)
        assert [path.name for path in kept.content_file(new).parent.iterdir()] == [new]

        kept.write({}, {key: None}, None)
        assert not kept.content_file(new).exists()
        kept.close()

    def test_a_file_that_no_record_names_is_removed_at_the_start(self, tmp_path: Path) -> None:
        kept = records(tmp_path)
        left = kept.content_file(kept.store_content(b"killed before the transaction"))
        kept.close()

        records(tmp_path).close()

        assert not left.exists()

    @pytest.mark.parametrize("versions", [{"moto": "2"}, {"moto": "1", "other": "1"}])
    def test_another_version_is_refused(self, tmp_path: Path, versions: dict[str, str]) -> None:
        records(tmp_path).close()

        with pytest.raises(StateUnusableError, match="cannot read them"):
            Records(tmp_path / "records").open(versions)

    def test_a_file_that_is_no_database_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "records").mkdir(mode=0o700)
        (tmp_path / "records/records.sqlite").write_bytes(b"not a database, and long enough" * 99)

        with pytest.raises(StateUnusableError, match="cannot be read"):
            records(tmp_path)


class Shelf:
    """A store with one record."""

    def __init__(self) -> None:
        self.record: Any = None
        self.given = 0

    def give(self, write: Callable[[Any], bytes]) -> bytes:
        self.given += 1
        return write(self.record)

    def take(self, record: Any) -> None:
        self.record = record

    @property
    def part(self) -> Part:
        return Part("shelf", self.give, self.take)


def opened(folder: Path, shelf: Shelf) -> Keeper:
    keeper = Keeper(folder / "records")
    keeper.open([shelf.part])
    return keeper


class TestKeeper:
    def test_what_has_settled_is_found_by_the_next_life(self, tmp_path: Path) -> None:
        shelf, next_shelf = Shelf(), Shelf()
        keeper = opened(tmp_path, shelf)
        shelf.record = Record(name="n", arn="a", region="r", request={}, created_at_s=1.5)
        keeper.changed("shelf")
        keeper.settle()

        opened(tmp_path, next_shelf)  # the first was not closed: it was killed, so to speak

        assert next_shelf.record == shelf.record

    def test_many_who_wait_share_what_is_written(self, tmp_path: Path) -> None:
        shelf = Shelf()
        keeper = opened(tmp_path, shelf)
        shelf.record = 1
        with keeper.unit():
            keeper.changed("shelf")
            waiting = [threading.Thread(target=keeper.settle) for _ in range(20)]
            for thread in waiting:
                thread.start()
            assert shelf.given == 0, "nothing is written while a unit is under way"
        for thread in waiting:
            thread.join()

        assert shelf.given == 1

    def test_a_unit_within_a_unit_does_not_wait_for_what_waits_for_it(self, tmp_path: Path) -> None:
        keeper = opened(tmp_path, Shelf())
        begun = threading.Event()

        def write() -> None:
            begun.set()
            keeper.settle()

        writer = threading.Thread(target=write)
        with keeper.unit():
            keeper.changed("shelf")
            writer.start()
            begun.wait()
            with keeper.unit():
                pass
        writer.join()

    def test_an_answer_is_refused_when_it_cannot_be_kept(self, tmp_path: Path) -> None:
        shelf = Shelf()
        keeper = opened(tmp_path, shelf)
        answers = KeptAnswers(keeper)
        said: list[str] = []

        def application(environ: Any, start_response: Any) -> list[bytes]:
            shelf.record = "done"
            keeper.changed("shelf")
            start_response("200 OK", [])
            return [b"done"]

        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "HTTP_X_AMZ_TARGET": "X.CreateIt"}

        def answer() -> bytes:
            whole = answers.answer(environ, lambda status, _: said.append(status), application)
            return b"".join(whole)

        with contextlib.closing(sqlite3.connect(tmp_path / "records/records.sqlite")) as other:
            other.execute("BEGIN IMMEDIATE")  # as good as a full disk
            refusal = answer()
        assert b"the state directory cannot be written" in refusal
        assert answer() == b"done"
        assert said == ["500 Internal Server Error", "200 OK"]

        next_shelf = Shelf()
        opened(tmp_path, next_shelf)
        assert next_shelf.record == "done"
