"""The interpreters that handlers run on."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

from local_runtime import handler_environments
from local_runtime.handler_environments import HandlerEnvironments
from local_runtime.processes import ProcessRegister
from local_runtime.settings import Limits


def test_the_host_is_compiled_once_before_the_first_handler_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = tmp_path / "handler_host"
    host.mkdir()
    source = host / "server.py"
    source.write_text("PORT = 1\n")
    monkeypatch.setattr(handler_environments, "_HANDLER_HOST", host)

    async def ask() -> list[str]:
        register = ProcessRegister(tmp_path / "groups")
        environments = HandlerEnvironments(
            tmp_path / "environments", sys.executable, Limits(), register
        )
        first = environments.interpreter_for(None)
        second = environments.interpreter_for(None)
        interpreters = list(await asyncio.gather(first, second))
        assert register.groups() == []
        return interpreters

    assert asyncio.run(ask()) == [sys.executable, sys.executable]
    assert Path(importlib.util.cache_from_source(str(source))).exists()
