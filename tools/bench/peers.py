"""Other servers doing the same work, each as its own documentation starts it."""

from __future__ import annotations

import contextlib
import getpass
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools.bench.subjects import SERVERS, Peer, Question, SkippedError, program

CSV: Final = b"0.5,-1.25,3.75,2.0,0.125,-0.5,1.5,2.5,-3.0,4.0"

# The container's own properties, and the log levels that it sets (sagemaker_inference/etc).
_MMS_PROPERTIES = """\
enable_envvars_config=true
decode_input_request=false
load_models=ALL
default_workers_per_model={workers}
default_service_handler=sagemaker_inference.default_handler_service
inference_address=http://127.0.0.1:{port}
management_address=http://127.0.0.1:{management_port}
"""


@contextlib.contextmanager
def multi_model_server(
    environment: Path, folder: Path, port: int, *, handler: str = "inference.py"
) -> Iterator[None]:
    """Multi Model Server as AWS's container runs it, with one worker.

    Raises:
        SkippedError: there is no Java.
    """
    if shutil.which("java") is None:
        raise SkippedError("no Java runtime is installed")
    model, temporary = folder / "model", folder / "tmp"
    (model / "code").mkdir(parents=True, exist_ok=True)
    temporary.mkdir(exist_ok=True)
    shutil.copy(SERVERS / handler, model / "code" / "inference.py")
    (folder / "mms.properties").write_text(
        _MMS_PROPERTIES.format(workers=1, port=port, management_port=port + 1)
    )
    log_config = next(environment.glob("lib/*/site-packages/sagemaker_inference/etc/log4j2.xml"))
    command = [str(environment / "bin" / "multi-model-server"), "--start", "--foreground"]
    command += ["--model-store", "/", "--models", f"model={model}"]
    command += ["--mms-config", "mms.properties", "--log-config", str(log_config)]
    variables = {
        "SAGEMAKER_BASE_DIR": str(folder),
        "PYTHONPATH": str(model / "code"),
        "TMPDIR": str(temporary),  # it keeps its process id there
        "TEMP": str(temporary),
    }
    with program(command, folder=folder, environment=variables):
        yield


@contextlib.contextmanager
def _mlserver(environment: Path, folder: Path, port: int) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    ports = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    # Custom endpoints hang behind its pool of processes: the model stays in the server's.
    settings = {"host": "127.0.0.1", "debug": False, "parallel_workers": 0, **ports}
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "dot", "implementation": "mlserver_model.Dot"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    with program(
        [str(environment / "bin" / "mlserver"), "start", "."],
        folder=folder,
        environment={"PYTHONPATH": str(SERVERS)},
    ):
        yield


@contextlib.contextmanager
def _litserve(environment: Path, folder: Path, port: int) -> Iterator[None]:
    with program(
        [str(environment / "bin" / "python"), str(SERVERS / "litserve_server.py"), str(port)],
        folder=folder,
    ):
        yield


@contextlib.contextmanager
def _bentoml(environment: Path, folder: Path, port: int) -> Iterator[None]:
    command = [str(environment / "bin" / "bentoml"), "serve", "bentoml_service:Dot"]
    with program(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--working-dir", str(SERVERS)],
        folder=folder,
        environment={"BENTOML_DO_NOT_TRACK": "1", "BENTOML_HOME": str(folder)},
    ):
        yield


@contextlib.contextmanager
def _kserve(environment: Path, folder: Path, port: int) -> Iterator[None]:
    command = [str(environment / "bin" / "python"), str(SERVERS / "kserve_server.py")]
    with program([*command, "--http_port", str(port)], folder=folder):
        yield


@contextlib.contextmanager
def nginx_before_asyncio(environment: Path, folder: Path, port: int) -> Iterator[None]:
    """nginx, proxying over a unix socket to a bare asyncio server.

    Raises:
        SkippedError: nginx is not installed.
    """
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise SkippedError("nginx is not installed (apt-get install nginx-light)")
    folder.mkdir(parents=True, exist_ok=True)
    # Relative: a unix socket's address has room for 107 bytes.
    (folder / "nginx.conf").write_text(
        f"""daemon off; user {getpass.getuser()}; worker_processes 1;
        pid nginx.pid; error_log nginx-error.log;
        events {{ worker_connections 512; }}
        http {{
            access_log off; keepalive_requests 1000000000;
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            upstream server {{
                server unix:{folder}/server.sock;
                keepalive 64; keepalive_requests 1000000000;
            }}
            server {{
                listen 127.0.0.1:{port};
                location / {{
                    proxy_pass http://server; proxy_http_version 1.1;
                    proxy_set_header Connection "";
                }}
            }}
        }}"""
    )
    (folder / "server.sock").unlink(missing_ok=True)
    server = [str(environment / "bin" / "python"), str(SERVERS / "bare_asyncio.py")]
    with (
        program([*server, "server.sock"], folder=folder),
        program([nginx, "-p", str(folder), "-c", "nginx.conf"], folder=folder / "nginx"),
    ):
        yield


MULTI_MODEL_SERVER: Final = Peer(
    name="Multi Model Server + sagemaker-inference",
    packages=("multi-model-server==1.1.11", "sagemaker-inference", "numpy", "setuptools<81"),
    question=Question(target="/invocations", body=CSV),
    serve=multi_model_server,
)
FLOOR: Final = Peer(
    name="floor: nginx to a bare asyncio server",
    packages=("uvloop", "httptools", "numpy"),
    question=Question(target="/invocations", body=CSV),
    serve=nginx_before_asyncio,
)
_WRAPPED: Final = json.dumps({"data": CSV.decode()}).encode()
OTHERS: Final = (
    Peer(
        name="MLServer",
        packages=("mlserver", "numpy", "uvloop<0.22"),
        question=Question(target="/invocations", body=CSV),
        serve=_mlserver,
    ),
    Peer(
        name="LitServe",
        packages=("litserve", "numpy"),
        question=Question(target="/invocations", body=_WRAPPED, content_type="application/json"),
        serve=_litserve,
    ),
    Peer(
        name="BentoML",
        packages=("bentoml", "numpy"),
        question=Question(target="/invocations", body=_WRAPPED, content_type="application/json"),
        serve=_bentoml,
    ),
    Peer(
        name="KServe",
        packages=("kserve", "numpy", "setuptools"),
        question=Question(
            target="/v1/models/dot:predict",
            body=json.dumps({"instances": [CSV.decode()]}).encode(),
            content_type="application/json",
        ),
        serve=_kserve,
    ),
)
