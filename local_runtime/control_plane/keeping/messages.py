"""The messages of SQS queues, each a record of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final, SupportsIndex

from moto.sqs.models import Message, Queue, sqs_backends

from local_runtime.control_plane.keeping import graph
from local_runtime.control_plane.keeping.database import Item, ItemKey, Records

MESSAGE: Final = "message"


class Messages:
    """Which messages have come, gone or been received, and how they are written and read."""

    def __init__(self, records: Records, shapes: dict[str, list[str]]) -> None:
        self._records = records
        self._shapes = shapes
        self._lock = threading.Lock()
        self._changed: dict[ItemKey, Message | None] = {}
        self._number = 0

    # -- what changes

    def watch(self) -> None:
        """Hear of every message that moto adds, hands out or removes."""

        def read(queue: Queue) -> list[Message]:
            held = vars(queue).get("kept_messages")
            if not isinstance(held, _Mailbox):
                held = vars(queue)["kept_messages"] = _Mailbox(self, queue, [])
            return held

        def assign(queue: Queue, messages: Iterable[Message]) -> None:
            before: Iterable[Message] = vars(queue).get("kept_messages", ())
            after = _Mailbox(self, queue, messages)
            vars(queue)["kept_messages"] = after
            remaining = {message.id for message in after}
            for message in before:
                if message.id not in remaining:
                    self.gone(queue, message)

        Queue._messages = property(read, assign)  # type: ignore[assignment]  # noqa: SLF001
        for name in ("mark_received", "change_visibility"):
            moto = getattr(getattr(Message, name), "moto", getattr(Message, name))
            setattr(Message, name, self._telling(moto))

    def _telling(self, moto: Any) -> Any:
        def method(message: Message, *arguments: Any, **more: Any) -> Any:
            answer = moto(message, *arguments, **more)
            place = vars(message).get("kept_in")
            if place is not None:
                with self._lock:
                    self._changed[MESSAGE, place, message.id] = message
            return answer

        method.moto = moto  # type: ignore[attr-defined]
        return method

    def came(self, queue: Queue, message: Message) -> None:
        """A message was put into a queue."""
        with self._lock:
            self._number += 1
            vars(message).update(kept_in=queue.queue_arn, kept_number=self._number)
            self._changed[MESSAGE, queue.queue_arn, message.id] = message

    def gone(self, queue: Queue, message: Message) -> None:
        """A message was deleted, or moved elsewhere."""
        with self._lock:
            self._changed[MESSAGE, queue.queue_arn, message.id] = None

    def queue_gone(self, queue: Queue) -> None:
        """A queue is deleted with all that is in it."""
        for message in list(vars(queue).get("kept_messages", ())):
            self.gone(queue, message)

    def pending(self) -> bool:
        """Whether something is to be written."""
        return bool(self._changed)

    # -- writing

    def take(self) -> dict[ItemKey, Item | None]:
        """What has changed since the last time, to be written."""
        with self._lock:
            changed, self._changed = self._changed, {}
        return {
            key: None
            if message is None
            else Item(graph.dump(message, home="sqs", shapes=self._shapes), {})
            for key, message in changed.items()
        }

    def give_back(self, keys: Iterable[ItemKey]) -> None:
        """They were not written."""
        held = {queue.queue_arn: queue for queue in queues()}
        with self._lock:
            for key in keys:
                queue = held.get(key[1])
                inside = () if queue is None else vars(queue).get("kept_messages", ())
                found = next((message for message in inside if message.id == key[2]), None)
                self._changed.setdefault(key, found)

    # -- reading

    def load(self) -> list[ItemKey]:
        """Bring every message back, in the order in which they came.

        Returns:
            Those that belong to no queue any more.

        Raises:
            NotReadableError: one cannot be read.
        """
        found: dict[str, list[Message]] = {}
        held = {queue.queue_arn: queue for queue in queues()}
        left_over = []
        for key, document, _ in self._records.items(MESSAGE):
            if key[1] not in held:
                left_over.append(key)
                continue
            message = graph.load(document)
            found.setdefault(key[1], []).append(message)
            self._number = max(self._number, _number(message))
        for arn, queue in held.items():
            messages = sorted(found.get(arn, []), key=_number)
            vars(queue)["kept_messages"] = _Mailbox(self, queue, messages)
            queue._pending_messages = {  # noqa: SLF001 - moto offers no other way
                message for message in messages if not message.visible
            }
        return left_over


class _Mailbox(list[Message]):
    """moto's list of messages, which tells what is added and removed."""

    def __init__(self, watcher: Messages, queue: Queue, messages: Iterable[Message]) -> None:
        super().__init__(messages)
        self._watcher = watcher
        self._queue = queue

    def append(self, message: Message) -> None:
        super().append(message)
        self._watcher.came(self._queue, message)

    def remove(self, message: Message) -> None:
        super().remove(message)
        self._watcher.gone(self._queue, message)

    def pop(self, index: SupportsIndex = -1) -> Message:
        message = super().pop(index)
        self._watcher.gone(self._queue, message)
        return message


def _number(message: Message) -> int:
    number: int = vars(message)["kept_number"]
    return number


def queues() -> Iterator[Queue]:
    """Every queue there is."""
    for regions in list(dict.values(sqs_backends)):
        for backend in list(dict.values(regions)):
            yield from list(backend.queues.values())
