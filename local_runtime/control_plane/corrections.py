"""Everything about moto that this runtime corrects, with the version and the symptom.

A correction goes when a newer moto does not need it; the version below is the one they were made
against.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import threading
import time
import types
from collections.abc import Callable, ItemsView, Iterator, Mapping
from pathlib import Path
from typing import Any

import moto
from moto import backends
from moto.core.utils import camelcase_to_underscores
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket
from moto.sqs.models import Message, Queue, SQSBackend

MOTO_VERSION = "5.2.5"

_S3_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]+?)\.)??(?:s3(?:[.-][a-z0-9-]+)*\.)?localhost(?P<port>:\d+)?"
)


def apply() -> None:
    """Make every correction that holds for the whole process; doing so twice changes nothing."""
    shield_cloudformation_package()
    load_managed_policies()
    ignore_bucket_policy_denials()
    remember_modules()
    ask_queues_for_one_attribute()
    use_queues_in_turn()


def use_path_style(environ: dict[str, Any]) -> None:
    """Move an S3 bucket from the host name into the path.

    moto 5.2.5 takes the first label of any host with a dot as the bucket: ``s3.localhost`` names
    a bucket ``s3``, ``my.bucket.localhost`` a bucket ``my``. Also passes on the path as it was
    encoded, which moto needs to match a key with an encoded slash and only werkzeug provides.
    """
    raw = environ.get("REQUEST_URI", environ["PATH_INFO"])
    match = _S3_HOST.fullmatch(environ.get("HTTP_HOST", ""))
    if match is not None:
        environ["HTTP_HOST"] = f"localhost{match['port'] or ''}"
        if match["bucket"] is not None:
            environ["PATH_INFO"] = f"/{match['bucket']}{environ['PATH_INFO']}"
            raw = f"/{match['bucket']}{raw}"
    environ["RAW_URI"] = raw


def bucket_in_host(host: str) -> str | None:
    """The S3 bucket that a host name begins with."""
    match = _S3_HOST.fullmatch(host)
    return None if match is None else match["bucket"]


def load_managed_policies() -> None:
    """Know AWS's managed policies.

    moto 5.2.5 leaves them out unless told otherwise, and then a role that attaches one cannot be
    created: NoSuchEntity, "does not exist or is not attachable". ``cdk bootstrap`` attaches one.
    """
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"


def remember_modules() -> None:
    """Look for moto's own modules once.

    moto 5.2.5 lists its folder, and asks what each of its 170 entries is, twice for every request:
    a third of the time that GetObject takes.
    """
    modules = tuple(backends.list_of_moto_modules())
    backends.list_of_moto_modules = lambda: modules


def ask_queues_for_one_attribute() -> None:
    """Let messages take as long in a full queue as in an empty one.

    moto 5.2.5 looks up all attributes of a queue to see one of them, and so counts its messages:
    three times for each that is sent, twenty times for each that is received. A thousand of them
    take a minute.
    """
    getter = vars(Queue)["attributes"].fget
    everything = getattr(getter, "moto", getter)

    def attributes(queue: Queue) -> Mapping[str, Any]:
        return _Attributes(queue, everything)

    attributes.moto = everything  # type: ignore[attr-defined]
    Queue.attributes = property(attributes)  # type: ignore[assignment]


class _Attributes(Mapping[str, Any]):
    """The attributes of a queue, each looked up when it is asked for."""

    def __init__(self, queue: Queue, everything: Callable[[Queue], dict[str, Any]]) -> None:
        self._queue = queue
        self._everything = everything

    def __getitem__(self, name: str) -> Any:
        if name in self._queue.BASE_ATTRIBUTES:
            value = getattr(self._queue, camelcase_to_underscores(name))
            return str(value).lower() if isinstance(value, bool) else value
        if name in self._queue.FIFO_ATTRIBUTES and not self._queue.fifo_queue:
            raise KeyError(name)
        return self._everything(self._queue)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._everything(self._queue))

    def __len__(self) -> int:
        return len(self._everything(self._queue))

    def items(self) -> ItemsView[str, Any]:
        return self._everything(self._queue).items()


def use_queues_in_turn() -> None:
    """Let several clients use a queue at once.

    moto 5.2.5 deletes a message by putting the others into a new list, and loses one that comes
    meanwhile; two that receive at once get the same message, or 500 "Set changed size during
    iteration".
    """
    for owner, name in (
        (Queue, "add_message"),
        (Queue, "delete_message"),
        (SQSBackend, "change_message_visibility"),
        (SQSBackend, "purge_queue"),
    ):
        method = getattr(owner, name)
        setattr(owner, name, _in_turn(getattr(method, "moto", method)))
    method = SQSBackend.receive_message
    receive_now = _in_turn(getattr(method, "moto", method))

    def receive(
        backend: SQSBackend, queue_name: str, count: int, wait_s: int, *more: Any
    ) -> list[Message]:
        until_s = time.monotonic() + wait_s
        while True:
            found: list[Message] = receive_now(backend, queue_name, count, 0, *more)
            left_s = until_s - time.monotonic()
            if found or left_s <= 0:
                return found
            # Not longer than a second, as in moto: nobody tells of messages that are visible again.
            backend.get_queue(queue_name).wait_for_messages(min(1, left_s))  # type: ignore[arg-type]

    receive.moto = receive_now.moto  # type: ignore[attr-defined]
    SQSBackend.receive_message = receive  # type: ignore[method-assign, assignment]


# One for all queues, because a dead letter queue gets messages while its source is looked through.
_queue_turn = threading.RLock()


def _in_turn(method: Callable[..., Any]) -> Any:
    @functools.wraps(method)
    def alone(*arguments: Any, **more: Any) -> Any:
        with _queue_turn:
            return method(*arguments, **more)

    alone.moto = method  # type: ignore[attr-defined]
    return alone


def shield_cloudformation_package() -> None:
    """Let moto's models import ``moto.cloudformation.exceptions`` alone.

    moto 5.2.5: reading an attribute of any ``CloudFormationModel`` imports that module, and with
    it the package, which imports the models of thirty services, which need packages that only
    moto's extras bring (API Gateway: openapi-spec-validator). The package's own code is not used
    here, so an empty package stands in for it; its modules are found as before.
    """
    name = "moto.cloudformation"
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [str(Path(moto.__file__).parent / "cloudformation")]
        sys.modules[name] = package


def ignore_bucket_policy_denials() -> None:
    """Let a bucket policy allow, but not deny.

    moto 5.2.5 evaluates a bucket policy without its conditions and principals, so the usual
    refusal of requests without TLS refuses everybody: 403 without a body. The policy is kept and
    described as it was put.
    """
    evaluate = FakeBucket.get_permission
    if getattr(evaluate, "never_denies", False):
        return

    def permission(bucket: FakeBucket, action: str, resource: str) -> PermissionResult:
        verdict = evaluate(bucket, action, resource)
        return PermissionResult.NEUTRAL if verdict is PermissionResult.DENIED else verdict

    permission.never_denies = True  # type: ignore[attr-defined]
    FakeBucket.get_permission = permission  # type: ignore[method-assign, assignment]
