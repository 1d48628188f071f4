"""``clean``: removes what runs have left that did not end by themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from benchmarking.aws import Account
from benchmarking.deployment import tagged
from benchmarking.errors import DONE, FAILED, BenchmarkError
from benchmarking.journal import JOURNAL_FILE, Journal, Thing, state_folder
from benchmarking.progress import Reporter
from benchmarking.removal import remove

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_POLL_S: Final = 5.0
_LOCAL_POLL_S: Final = 0.1


def seconds(text: str) -> float:
    """A length of time as people write it: ``90s``, ``30m``, ``2h``, ``1d``, or plain seconds.

    Raises:
        ValueError: it is none.
    """
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if parts is None:
        raise ValueError(f"a length of time must look like 90s, 30m, 2h or 1d, got {text!r}")
    return float(parts[1]) * _UNITS.get(parts[2], 1)


class _Forgetful:
    """Where the removal of things without a journal is written down: nowhere."""

    def removed(self, thing: Thing) -> None:
        """Nothing to do."""


def clean(
    account: Account,
    folders: Sequence[Path],
    *,
    older_than_s: float | None,
    dry_run: bool,
    reporter: Reporter,
) -> int:
    """Remove what dead runs' journals name, and what their tags tell; the exit code.

    Args:
        folders: of runs, beside those that the user's own journals know.
        older_than_s: look for everything tagged that is older, whoever has made it; None: do not.
    """
    poll_s = _POLL_S if account.local_speed is None else _LOCAL_POLL_S
    known = {journal.begin.run_id: journal for journal in _readable(reporter)}
    named = [Journal.read(folder / JOURNAL_FILE) for folder in folders]
    known |= {journal.begin.run_id: journal for journal in named}
    alive: set[str] = set()
    removed: list[Thing] = []
    left: list[Thing] = []
    for run_id, journal in known.items():
        begin = journal.begin
        if journal.is_alive:
            alive.add(run_id)
            reporter.warn(f"run {run_id} is still going on, as process {begin.pid}: left alone")
        elif journal.is_elsewhere and journal not in named:
            alive.add(run_id)
            reporter.warn(
                f"run {run_id} was begun on {begin.host}, where it may still go on: left alone;"
                " give its folder to remove what it has left"
            )
        elif (begin.region, begin.url) != (account.region, account.url):
            if journal.things:
                reporter.warn(
                    f"run {run_id} has left {len(journal.things)} things in {begin.region} at"
                    f" {begin.url}: clean there, this is {account.region} at {account.url}"
                )
        elif dry_run:
            removed += journal.things
        else:
            things = journal.things
            failed = remove(account, journal, things, notify=reporter.warn, poll_s=poll_s)
            left += failed
            removed += [thing for thing in things if thing not in failed]
            journal.close()
    if older_than_s is not None:
        before = (datetime.now(UTC) - timedelta(seconds=older_than_s)).isoformat()
        things = tuple(
            thing
            for thing, run_id in tagged(account, created_before=before)
            if run_id not in alive and thing not in removed
        )
        failed = []
        if not dry_run:
            failed = remove(account, _Forgetful(), things, notify=reporter.warn, poll_s=poll_s)
        left += failed
        removed += [thing for thing in things if thing not in failed]
    _say(removed, left, dry_run=dry_run)
    return FAILED if left else DONE


def _readable(reporter: Reporter) -> list[Journal]:
    """The user's journals; one that cannot be read does not keep the others."""
    found = []
    folder = state_folder()
    for path in sorted(folder.glob("*.jsonl")) if folder.is_dir() else ():
        try:
            found.append(Journal.read(path))
        except BenchmarkError as error:
            reporter.warn(str(error))
    return found


def _say(removed: Sequence[Thing], left: Sequence[Thing], *, dry_run: bool) -> None:
    verb = "would be removed" if dry_run else "removed"
    for thing in removed:
        print(f"{verb}: {thing.kind} {thing.name}")  # noqa: T201 - the verb's answer
    for thing in left:
        print(f"left: {thing.kind} {thing.name}")  # noqa: T201
    if not removed and not left:
        print("nothing to remove")  # noqa: T201
