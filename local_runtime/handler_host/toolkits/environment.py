"""What AWS's toolkits tell a handler about the container it runs in."""

from __future__ import annotations

import os

from .content_types import JSON

base_dir = os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")
model_dir = os.environ.get("SM_MODEL_DIR", os.path.join(base_dir, "model"))
code_dir = os.path.join(model_dir, "code")


class Environment:
    """The serving settings, read when it is made."""

    def __init__(self) -> None:
        environ = os.environ
        program = environ.get("SAGEMAKER_PROGRAM", "inference.py")
        self.module_name = program[:-3] if program.endswith(".py") else program
        self.user_entry_point = program
        self.module_dir = environ.get("SAGEMAKER_SUBMIT_DIRECTORY", code_dir)
        self.model_dir = model_dir
        self.default_accept = environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        self.model_server_timeout = int(environ.get("SAGEMAKER_MODEL_SERVER_TIMEOUT", "60"))
        self.model_server_workers = environ.get("SAGEMAKER_MODEL_SERVER_WORKERS")
        self.http_port = environ.get("SAGEMAKER_BIND_TO_PORT", "8080")
        self.inference_http_port = self.management_http_port = self.http_port
        self.safe_port_range = environ.get("SAGEMAKER_SAFE_PORT_RANGE")
        self.log_level = int(environ.get("SAGEMAKER_CONTAINER_LOG_LEVEL", "20"))
        self.num_cpus = os.cpu_count()
        self.num_gpus = 0


ServingEnv = Environment
