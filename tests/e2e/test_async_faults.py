"""What asynchronous endpoints keep when processes are killed: everything they have accepted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tools import async_faults
from tools.async_accounts import accounted_for
from tools.async_faults import CONTROL_PLANE, DATA_PLANE, WORKER

pytestmark = pytest.mark.e2e

REQUESTS = 1000


@pytest.mark.parametrize(
    "roles",
    [(WORKER, DATA_PLANE, CONTROL_PLANE), (DATA_PLANE, CONTROL_PLANE)],
    ids=["everything", "planes"],
)
def test_every_accepted_request_ends_once_whatever_is_killed(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None], roles: Sequence[str]
) -> None:
    figures = async_faults.run(tmp_path, REQUESTS, seed=20261120, roles=roles)

    record_testsuite_property("drained_per_s", figures["requests per second"])
    assert all(figures[f"kills of {role}"] for role in roles)
    assert figures["accepted"] == figures["outputs"] + figures["failures"] >= REQUESTS
    assert accounted_for(figures), figures
    if WORKER not in roles:
        # Requests that dying planes were working on are worked on again, so none has failed.
        assert figures["failures"] == 0
