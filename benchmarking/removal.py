"""Remove what runs have created: at a run's end, after a failure, and by ``clean``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from benchmarking.aws import Account, explained, is_missing
from benchmarking.journal import REMOVAL_ORDER, Thing

Notify = Callable[[str], None]

# An endpoint that is being created can only be deleted once it is there: AWS refuses before.
_TIMEOUT_S: Final = 45 * 60
_BUSY: Final = ("in-progress", "in progress", "is being")
_OBJECTS_PER_CALL: Final = 1000


class Ledger(Protocol):
    """Where it is written down that something is gone."""

    def removed(self, thing: Thing) -> None:
        """``thing`` is gone."""


def remove(
    account: Account,
    ledger: Ledger,
    things: Iterable[Thing],
    *,
    notify: Notify,
    poll_s: float,
) -> list[Thing]:
    """Remove things, and wait until they are gone; what could not be removed is returned.

    One that cannot be removed does not keep the others.
    """
    left: list[Thing] = []
    wanted = list(dict.fromkeys(things))
    for kind in REMOVAL_ORDER:
        ours = [thing for thing in wanted if thing.kind == kind]
        if kind == "endpoint":
            left += _remove_endpoints(account, ledger, ours, notify, poll_s)
            continue
        for thing in ours:
            try:
                if kind == "prefix":
                    _remove_objects(account, thing.name)
                else:
                    _call(account, thing)
            except (ClientError, BotoCoreError) as error:
                notify(f"{thing.kind} {thing.name} is left: {explained(error)}")
                left.append(thing)
            else:
                ledger.removed(thing)
    return left


def _remove_endpoints(
    account: Account, ledger: Ledger, endpoints: list[Thing], notify: Notify, poll_s: float
) -> list[Thing]:
    """Ask for all deletions, then wait for all."""
    sagemaker = account.client("sagemaker")
    left: list[Thing] = []
    asked: set[Thing] = set()
    pending = list(endpoints)
    deadline_s = time.monotonic() + _TIMEOUT_S
    while pending:
        for thing in list(pending):
            try:
                if thing not in asked:
                    sagemaker.delete_endpoint(EndpointName=thing.name)
                    asked.add(thing)
                sagemaker.describe_endpoint(EndpointName=thing.name)
            except (ClientError, BotoCoreError) as error:
                if isinstance(error, ClientError) and is_missing(error):
                    ledger.removed(thing)
                    pending.remove(thing)
                elif not any(word in str(error) for word in _BUSY):
                    notify(f"endpoint {thing.name} is left: {explained(error)}")
                    left.append(thing)
                    pending.remove(thing)
        if pending and time.monotonic() > deadline_s:
            names = ", ".join(thing.name for thing in pending)
            notify(f"still being deleted after {_TIMEOUT_S / 60:.0f} minutes: {names}")
            return [*left, *pending]
        if pending:
            time.sleep(poll_s)
    return left


def _call(account: Account, thing: Thing) -> None:
    sagemaker = account.client("sagemaker")
    try:
        if thing.kind == "endpoint-config":
            sagemaker.delete_endpoint_config(EndpointConfigName=thing.name)
        else:
            sagemaker.delete_model(ModelName=thing.name)
    except ClientError as error:
        if not is_missing(error):
            raise


def _remove_objects(account: Account, url: str) -> None:
    """Remove every object below a prefix that carries a run's ID."""
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    assert prefix.count("/") > 1, f"{url} is not a folder of one run"
    s3 = account.client("s3")
    keys: list[str] = []
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        keys += [each["Key"] for each in page.get("Contents", [])]
    for start in range(0, len(keys), _OBJECTS_PER_CALL):
        chunk = keys[start : start + _OBJECTS_PER_CALL]
        s3.delete_objects(
            Bucket=bucket, Delete={"Objects": [{"Key": key} for key in chunk], "Quiet": True}
        )
