"""``python -m local_runtime``: ``up`` serves, ``env`` tells clients where."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from local_runtime.container_environment import client_environment
from local_runtime.settings import (
    DEFAULT_PORT,
    DEFAULT_REGION,
    RuntimeSettings,
    SettingsError,
    read_settings_file,
)
from local_runtime.supervisor import RuntimeBrokenError, Supervisor, UsageError

_UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 when the work was done, 1 when the runtime broke, 2 when it was asked for the impossible.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.command == "env":
            print("\n".join(environment_lines(options.port)))  # noqa: T201 - its output
            return 0
        return Supervisor(_settings(options), options.state_dir).run()
    except (UsageError, SettingsError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - for people
        return 2
    except RuntimeBrokenError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - for people
        return 1


def environment_lines(port: int) -> list[str]:
    """Shell commands that point any AWS client of this shell to the runtime."""
    variables = client_environment(f"http://127.0.0.1:{port}", DEFAULT_REGION)
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return [*exports, f"unset {' '.join(_UNSET)}"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local_runtime", description="SageMaker hosting on one machine."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser(
        "up",
        help="serve until Ctrl-C",
        description="Serve the AWS API on 127.0.0.1 until Ctrl-C or SIGTERM; a second one ends it"
        " at once. Prints 'ready URL' on standard output when it accepts requests.",
    )
    _add_port(up)
    up.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        metavar="X",
        help="run AWS's own clocks (metric periods, cooldowns) X times faster (default: 1)",
    )
    up.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="keep logs and installed requirements here (default: a temporary folder)",
    )
    up.add_argument(
        "--handler-python",
        metavar="PATH",
        help="interpreter that runs handlers (default: the one that runs this)",
    )
    up.add_argument(
        "--settings", type=Path, metavar="FILE", help="TOML file with images, limits and choices"
    )
    env = commands.add_parser(
        "env",
        help="print export lines for a shell",
        description='Print what points AWS clients to the runtime: eval "$(python -m local_runtime'
        ' env)".',
    )
    _add_port(env)
    return parser


def _add_port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        metavar="N",
        help=f"port on 127.0.0.1 (default: {DEFAULT_PORT}; up: 0 takes a free one)",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"must be a port from 0 to 65535, got {text!r}")
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return speed


def _settings(options: argparse.Namespace) -> RuntimeSettings:
    settings = RuntimeSettings(port=options.port, speed=options.speed)
    if options.handler_python is not None:
        found = shutil.which(options.handler_python)
        if found is None:
            raise SettingsError(
                f"--handler-python must be an interpreter, got {options.handler_python!r}"
            )
        # Not resolved: a virtual environment is known by the path of its link.
        settings = replace(settings, handler_python=str(Path(found).absolute()))
    if options.settings is not None:
        images, limits, choices = read_settings_file(options.settings)
        settings = replace(
            settings,
            settings_file=str(options.settings),
            images=images,
            limits=limits,
            choices=choices,
        )
    return settings
