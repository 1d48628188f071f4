"""The interpreters of handlers, and packages that a ``requirements.txt`` asks for, installed once.

One virtual environment per interpreter and content of the file. What the interpreter already has
satisfies a requirement: its package folders are on the environment's path, behind the environment's
own, so ``--system-site-packages`` would not do (it means the base installation, not a virtual
environment that the interpreter may itself belong to).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from local_runtime.artifacts import remove_tree
from local_runtime.errors import NotServableError
from local_runtime.logs import log_size, tail
from local_runtime.processes import ProcessGroup, ProcessRegister
from local_runtime.settings import Limits

_LINK_PACKAGES: Final = """\
import glob, os, site, sys, sysconfig
paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()]
found = dict.fromkeys(path for path in paths if os.path.isdir(path))
for folder in glob.glob(os.path.join(sys.argv[1], "lib", "python*", "site-packages")):
    with open(os.path.join(folder, "handler_interpreter.pth"), "w", encoding="utf-8") as file:
        file.write("\\n".join(found) + "\\n")
"""
# What pip may need to reach an index: its settings and the way through a proxy. No credentials for
# AWS, no variables of other programs.
_PIP_VARIABLES: Final = (
    "PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
)  # fmt: skip
_PIP_OPTIONS: Final = (
    "--no-input",
    "--disable-pip-version-check",
    "--no-warn-script-location",
    "--progress-bar",
    "off",
)
_COMPLETE: Final = "complete"
_HANDLER_HOST: Final = Path(__file__).with_name("handler_host")


class RequirementsError(NotServableError):
    """The requirements could not be installed; the message is for FailureReason."""


class HandlerEnvironments:
    """The virtual environments below one folder."""

    def __init__(
        self, folder: Path, handler_python: str, limits: Limits, register: ProcessRegister
    ) -> None:
        self._folder = folder
        self._handler_python = handler_python
        self._limits = limits
        self._register = register
        self._locks: dict[str, asyncio.Lock] = {}
        self._compiling: asyncio.Task[None] | None = None

    async def interpreter_for(self, requirements: Path | None) -> str:
        """The interpreter that runs a handler; without requirements the handlers' common one.

        Raises:
            RequirementsError: pip failed; the message ends with its last lines.
        """
        if self._compiling is None:
            self._compiling = asyncio.create_task(self._compile_host())
        await asyncio.shield(self._compiling)
        if requirements is None:
            return self._handler_python
        key = hashlib.sha256(
            self._handler_python.encode() + b"\0" + await asyncio.to_thread(requirements.read_bytes)
        ).hexdigest()[:24]
        async with self._locks.setdefault(key, asyncio.Lock()):
            return await self._build(self._folder / key, requirements)

    async def _compile_host(self) -> None:
        """Keep the byte code of our host for this interpreter.

        Containers write none, so that each cold start would compile the host anew: ten milliseconds
        of a dozen. Where the installation cannot be written to, that is how it stays.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        process = await ProcessGroup.start(
            [self._handler_python, "-I", "-m", "compileall", "-q", str(_HANDLER_HOST)],
            environment=pip_environment(os.environ),
            cwd=self._folder,
            log=self._folder / "handler_host.log",
            open_files=self._limits.open_files,
            register=self._register,
        )
        await process.exited()

    async def _build(self, folder: Path, requirements: Path) -> str:
        python = folder / "bin" / "python"
        if (folder / _COMPLETE).exists():
            return str(python)
        # Left by a runtime that was killed while it installed.
        await asyncio.to_thread(remove_tree, folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        log = folder.with_name(f"{folder.name}.log")
        await self._run(
            [self._handler_python, "-m", "venv", "--without-pip", str(folder)], log, folder.parent
        )
        await self._run(
            [self._handler_python, "-c", _LINK_PACKAGES, str(folder)], log, folder.parent
        )
        install = [str(python), "-m", "pip", "install", *_PIP_OPTIONS, "-r", str(requirements)]
        # From its own folder, for requirements may name files beside them.
        await self._run(install, log, requirements.parent)
        (folder / _COMPLETE).touch()
        return str(python)

    async def _run(self, command: list[str], log: Path, cwd: Path) -> None:
        since = log_size(log)
        process = await ProcessGroup.start(
            command,
            environment=pip_environment(os.environ),
            cwd=cwd,
            log=log,
            open_files=self._limits.open_files,
            register=self._register,
        )
        try:
            async with asyncio.timeout(self._limits.requirements_timeout_s):
                code = await process.exited()
        except TimeoutError:
            process.kill()
            await process.exited()
            raise RequirementsError(
                "requirements.txt could not be installed within"
                f" {self._limits.requirements_timeout_s:g} s"
            ) from None
        except asyncio.CancelledError:
            process.kill()
            await process.exited()
            raise
        if code != 0:
            lines = "\n".join(tail(log, since=since))
            raise RequirementsError(f"requirements.txt could not be installed. pip said: {lines}")


def pip_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What pip gets of the user's environment."""
    return {
        name: value
        for name, value in environment.items()
        if name in _PIP_VARIABLES or name.startswith("PIP_")
    }
