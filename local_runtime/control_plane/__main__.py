"""Run the control plane; the supervisor starts it, not people."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from local_runtime.control_plane import server
from local_runtime.control_plane.keeping.database import StateUnusableError
from local_runtime.settings import RuntimeSettings


def main() -> None:
    """Read the supervisor's arguments and serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m local_runtime.control_plane")
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to listen on")
    parser.add_argument("--port", type=int, required=True, help="public port, which addresses name")
    parser.add_argument("--logs", type=Path, required=True, help="folder that containers print to")
    parser.add_argument("--settings", type=Path, required=True, help="the runtime's, as JSON")
    parser.add_argument("--speed", type=float, default=1.0, help="service seconds per second")
    parser.add_argument("--state", type=Path, help="folder that keeps everything for the next life")
    arguments = parser.parse_args()
    url = f"http://127.0.0.1:{arguments.port}"
    settings = RuntimeSettings.from_document(json.loads(arguments.settings.read_text()))
    try:
        server.serve(
            arguments.socket,
            url,
            logs=arguments.logs,
            speed=arguments.speed,
            settings=settings,
            state=arguments.state,
        )
    except StateUnusableError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
