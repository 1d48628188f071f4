"""``python -m local_runtime``: ``up`` serves; the others talk to the runtime that does."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from local_runtime.client import NotRunningError, RefusedError, RuntimeClient
from local_runtime.console import CONSOLE_ROUTE
from local_runtime.container_environment import client_environment
from local_runtime.invocation import Invocation, accepted, content_type_of, read_body
from local_runtime.log_view import EndpointLog
from local_runtime.settings import (
    DEFAULT_PORT,
    DEFAULT_REGION,
    RuntimeSettings,
    SettingsError,
    read_settings_file,
)
from local_runtime.status import STATUS_ROUTE
from local_runtime.status_view import table
from local_runtime.supervisor import RuntimeBrokenError, Supervisor, UsageError

_MOST_LINES = 10_000  # that GetLogEvents gives at once
_UNSET = ("AWS_PROFILE", "AWS_SESSION_TOKEN")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0 when the work was done, 1 when the runtime broke, refused or does not run, 2 when it was
        asked for the impossible.
    """
    options = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        return run(options)
    except (UsageError, SettingsError) as error:
        _complain(str(error))
        return 2
    except (RuntimeBrokenError, NotRunningError, RefusedError) as error:
        _complain(str(error))
        return 1
    except BrokenPipeError:
        # Whoever read the output has enough; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _up(options: argparse.Namespace) -> int:
    return Supervisor(_settings(options), options.state_dir).run()


def _env(options: argparse.Namespace) -> int:
    _say("\n".join(environment_lines(options.port)))
    return 0


def _logs(options: argparse.Namespace) -> int:
    client = RuntimeClient(options.port, options.region)
    log = EndpointLog(client, options.endpoint, options.variant)
    found = log.last(options.lines)
    for line in found:
        _say(str(line))
    if not options.follow:
        if not found and options.lines:
            _complain(f"no container of endpoint {options.endpoint!r} has printed anything")
            return 1
        return 0
    try:
        for line in log.follow():
            _say(str(line))
    except KeyboardInterrupt:
        pass
    return 0


def _console(options: argparse.Namespace) -> int:
    RuntimeClient(options.port).send("GET", STATUS_ROUTE, {})  # whether it runs
    address = f"http://127.0.0.1:{options.port}{CONSOLE_ROUTE}"
    _say(address)
    if options.open and not webbrowser.open(address):
        raise UsageError("--open: no browser was found")
    return 0


def _status(options: argparse.Namespace) -> int:
    reply = RuntimeClient(options.port).send("GET", STATUS_ROUTE, {})
    document = json.loads(reply.body)
    _say(json.dumps(document, indent=2) if options.json else "\n".join(table(document)))
    return 0


def _invoke(options: argparse.Namespace) -> int:
    try:
        body = read_body(options.body)
    except OSError as error:
        raise UsageError(f"--body {options.body}: {error.strerror}") from error
    content_type = options.content_type
    invocation = Invocation(
        endpoint=options.endpoint,
        body=body,
        content_type=content_type_of(options.body) if content_type is None else content_type,
        accept=options.accept,
        target_model=options.target_model,
        target_variant=options.target_variant,
        component=options.component,
        target_container=options.target_container,
        asynchronous=options.asynchronous,
    )
    reply = invocation.send(RuntimeClient(options.port, options.region))
    if options.asynchronous:
        _say(accepted(reply))
        return 0
    sys.stdout.buffer.write(reply.body)
    sys.stdout.flush()
    if sys.stdout.isatty():
        _say("")  # the shell's prompt belongs on a line of its own
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - its output


def _complain(text: str) -> None:
    print(f"error: {text}", file=sys.stderr)  # noqa: T201 - for people


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
    up.set_defaults(run=_up)
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
        help="keep everything here for the next time (default: a temporary folder)",
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
    env.set_defaults(run=_env)
    _add_port(env)
    console = commands.add_parser(
        "console",
        help="print the console's address",
        description="Print the address of the console, where a browser shows what runs.",
    )
    console.set_defaults(run=_console)
    console.add_argument("--open", action="store_true", help="open it in the browser")
    _add_port(console)
    _add_logs(commands.add_parser("logs", help="show what an endpoint's containers print"))
    _add_status(commands.add_parser("status", help="show endpoints, containers and queues"))
    _add_invoke(commands.add_parser("invoke", help="send one request to an endpoint"))
    return parser


def _add_logs(logs: argparse.ArgumentParser) -> None:
    logs.description = (
        "Print the newest lines of an endpoint's containers, oldest first: the time, the log"
        " stream (VARIANT/INSTANCE, and /CONTAINER where there are several) and the line."
    )
    logs.set_defaults(run=_logs)
    logs.add_argument("endpoint", metavar="ENDPOINT")
    logs.add_argument("--follow", "-f", action="store_true", help="go on until Ctrl-C")
    logs.add_argument("--variant", metavar="V", help="of this variant alone")
    logs.add_argument(
        "--lines", type=_count, default=100, metavar="N", help="how many (default: 100)"
    )
    _add_region(logs)
    _add_port(logs)


def _add_status(status: argparse.ArgumentParser) -> None:
    status.description = (
        "Show every endpoint with its containers: state, requests, memory, process ids; and the"
        " queue of an asynchronous one. Memory counts shared pages once per process."
    )
    status.set_defaults(run=_status)
    status.add_argument("--json", action="store_true", help="for programs")
    _add_port(status)


def _add_invoke(invoke: argparse.ArgumentParser) -> None:
    invoke.description = "Send one request; the answer's body goes to standard output."
    invoke.set_defaults(run=_invoke)
    invoke.add_argument("endpoint", metavar="ENDPOINT")
    invoke.add_argument("--body", required=True, metavar="FILE", help="- is standard input")
    invoke.add_argument(
        "--content-type", metavar="T", help="default: what the file's name says, or octet-stream"
    )
    invoke.add_argument("--accept", metavar="A", help="content type to answer with")
    invoke.add_argument("--target-model", metavar="M", help="of a multi-model endpoint")
    invoke.add_argument("--component", metavar="C", help="an inference component, by its name")
    invoke.add_argument("--target-variant", metavar="V", help="instead of one by weight")
    invoke.add_argument("--target-container", metavar="H", help="host name, in Direct mode")
    invoke.add_argument(
        "--async",
        dest="asynchronous",
        action="store_true",
        help="put it into the queue; prints where the answer will be",
    )
    _add_region(invoke)
    _add_port(invoke)


def _add_region(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--region",
        default=DEFAULT_REGION,
        metavar="R",
        help=f"of the endpoint (default: {DEFAULT_REGION})",
    )


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


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > _MOST_LINES:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to {_MOST_LINES}, got {text!r}")
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
