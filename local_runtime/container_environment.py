"""The environment variables of a container: nothing of the user's, everything SageMaker sets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from local_runtime.http_client import Address, TcpAddress
from local_runtime.processes import CONTAINER_MARK

INTERPRETER_ENVIRONMENT: Final[Mapping[str, str]] = {
    "LANG": "C.UTF-8",
    # AWS's images set both, so that logs show what was printed before a crash and a read-only model
    # folder is no obstacle.
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""What every container's interpreter finds when it starts, whatever it serves."""

# Python, the dynamic loader and the C library look at these when a process starts, and not again.
_READ_AT_START: Final = ("PYTHON", "LD_", "DYLD_", "LANG", "LC_", "TZ", "MALLOC_", "GLIBC_")
_DEFAULT_PATH: Final = "/usr/local/bin:/usr/bin:/bin"
MODEL_DIR_ON_AWS: Final = "/opt/ml/model"


def client_environment(url: str, region: str) -> dict[str, str]:
    """What an AWS client needs to talk to the runtime; the keys open nothing else."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def user_path() -> str:
    """Where programs are looked for."""
    return os.environ.get("PATH", _DEFAULT_PATH)


def suits_a_started_interpreter(environment: Mapping[str, str]) -> bool:
    """Whether an interpreter that has ``INTERPRETER_ENVIRONMENT`` would start no other way."""
    read = {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}
    return read == INTERPRETER_ENVIRONMENT


def container_environment(
    *,
    address: Address,
    ports: int,
    mark: str,
    model: Mapping[str, str],
    model_dir: Path,
    submit_directory: Path | None,
    home: Path,
    interpreter: str,
    url: str,
    region: str,
) -> dict[str, str]:
    """Everything a container sees.

    Args:
        address: where it has to listen.
        ports: how many successive ports it may use, beginning with its own.
        mark: tells the container's processes from all others.
        model: the Environment of its ContainerDefinition.
        model_dir: its unpacked model data.
        submit_directory: where its code is, when that did not come with the model data.
        home: a folder of its own that it may write to.
        interpreter: runs the handler; ``python`` means this one inside the container.
        url: of the runtime.
        region: of the endpoint.
    """
    environment = {
        "PATH": f"{Path(interpreter).parent}{os.pathsep}{user_path()}",
        **INTERPRETER_ENVIRONMENT,
        **client_environment(url, region),
        **model,
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "SAGEMAKER_BASE_DIR": str(model_dir.parent),
        "SM_MODEL_DIR": str(model_dir),
        CONTAINER_MARK: mark,
    }
    code = model.get("SAGEMAKER_SUBMIT_DIRECTORY")
    if submit_directory is not None:
        environment["SAGEMAKER_SUBMIT_DIRECTORY"] = str(submit_directory)
    elif code is not None and code.startswith(MODEL_DIR_ON_AWS):
        inside = code.removeprefix(MODEL_DIR_ON_AWS).lstrip("/")
        environment["SAGEMAKER_SUBMIT_DIRECTORY"] = str(model_dir / inside)
    if isinstance(address, TcpAddress):
        environment["SAGEMAKER_BIND_TO_PORT"] = str(address.port)
        environment["SAGEMAKER_SAFE_PORT_RANGE"] = f"{address.port}-{address.port + ports - 1}"
    return environment
