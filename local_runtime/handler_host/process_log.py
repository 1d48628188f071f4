"""What the handler host says: to standard error, at once, in one write per message."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# The formats of the containers: sagemaker-scikit-learn-container's serving.py, and Multi Model
# Server's worker, which prints the bare message.
FLASK_FORMAT = "%(asctime)s %(levelname)s - %(name)s - %(message)s"
PLAIN_FORMAT = "%(message)s"


def log(message: str) -> None:
    """Write one line; a handler that closed its standard error loses it, nothing else."""
    _write(f"handler_host: {message}\n")


def log_exception(message: str) -> str:
    """Write ``message`` and the traceback of the exception being handled, and return the latter."""
    import traceback  # noqa: PLC0415  (imports eight milliseconds of modules, needed here alone)

    trace = traceback.format_exc()
    _write(f"handler_host: {message}\n{trace}")
    return trace


def _write(text: str) -> None:
    # Not sys.stderr: handlers replace it and close it.
    data = text.encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(2, data) :]
    except OSError:
        pass


class LoggingSetup:
    """Configures the root logger the moment the handler imports ``logging``.

    The containers have done so before they import a handler: ``logging.info`` shows, and a
    ``basicConfig`` of the handler comes too late to matter. Importing the module here for that
    would cost every handler that never logs a third of its start-up time.
    """

    def __init__(self, record_format: str, level: int) -> None:
        self._format = record_format
        self._level = level

    def install(self) -> None:
        """Watch for the import, or configure now if it has happened."""
        if "logging" in sys.modules:
            self._configure(sys.modules["logging"])
        else:
            sys.meta_path.insert(0, self)

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  (the interface of a finder)
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """The spec of ``logging`` with our configuration behind it; None for any other module."""
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        from importlib.machinery import PathFinder  # noqa: PLC0415

        spec = PathFinder.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_configure(module: ModuleType) -> None:
                execute(module)
                self._configure(module)

            spec.loader.exec_module = execute_and_configure  # type: ignore[method-assign]
        return spec

    def _configure(self, logging: ModuleType) -> None:
        logging.basicConfig(format=self._format, level=self._level, stream=sys.stderr)
        # At INFO the AWS SDK tells of every credential it finds.
        logging.getLogger("botocore").setLevel(max(self._level, logging.WARNING))
