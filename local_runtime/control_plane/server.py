"""The control plane's HTTP side: our routes first, moto for everything else."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import sys
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import waitress
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from local_runtime.clock import Clock
from local_runtime.console.application import Console
from local_runtime.console.pages import Sources
from local_runtime.control_plane import (
    autoscaling_api,
    container_logs,
    corrections,
    query_protocol,
    subscription_confirmation,
)
from local_runtime.control_plane.autoscaler import Autoscaler
from local_runtime.control_plane.autoscaling_api import AutoscalingApi
from local_runtime.control_plane.cloudformation.api import CloudFormationApi
from local_runtime.control_plane.cloudwatch import wire
from local_runtime.control_plane.cloudwatch.evaluation import SCALING_POLICY
from local_runtime.control_plane.cloudwatch.service import CloudWatch
from local_runtime.control_plane.container_logs import LOOK_INTERVAL_S, ContainerLogs
from local_runtime.control_plane.corrections import MOTO_VERSION
from local_runtime.control_plane.errors import ApiError, SerializationException
from local_runtime.control_plane.keeping.answers import (
    ALARMS,
    DASHBOARDS,
    HOSTING,
    SCALING,
    STACKS,
    KeptAnswers,
)
from local_runtime.control_plane.keeping.database import StateUnwritableError
from local_runtime.control_plane.keeping.keeper import Keeper, Part
from local_runtime.control_plane.local_client import LocalClients
from local_runtime.control_plane.reports import INTERNAL_PREFIX, Reports
from local_runtime.control_plane.sagemaker import SageMakerApi
from local_runtime.control_plane.service_model import service_model
from local_runtime.control_plane.store import Store
from local_runtime.control_plane.subscribers import Subscribers
from local_runtime.settings import RuntimeSettings

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

DEFAULT_REGION = "us-east-1"
LONG_POLL_LIMIT_S = 60.0
# A single PutObject may carry 5 GB (S3 user guide, "Uploading objects"); waitress stops at 1 GiB
# unless told otherwise. Bodies beyond half a megabyte wait in a temporary file.
REQUEST_BODY_LIMIT_BYTES = 5 * 1024**3
# One thread may rest in a long poll; the CLI uploads assets eight at a time.
THREADS = 24

_SAGEMAKER_TARGET = "SageMaker."
_CREDENTIAL_SCOPE = re.compile(r"Credential=[^/]*/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/")
# The data plane reads S3 under this host name, which no public address has (they carry a port).
# moto checks no signature but answers 403 to a request without one.
_DATA_PLANE_HOST = "s3.localhost"
_UNCHECKED_SIGNATURE = (
    "AWS4-HMAC-SHA256 Credential=local/20000101/us-east-1/s3/aws4_request,"
    " SignedHeaders=host, Signature=local"
)

_log = logging.getLogger(__name__)


class ControlPlane:
    """The WSGI application, and the state behind it.

    Args:
        url: where the runtime is reached from outside.
        logs: the folder that containers print to; without it there are none.
        speed: service seconds per second of the wall.
        settings: for alarms and scaling; the defaults without it.
        state: the folder that keeps everything for the next life; without it nothing is kept.

    Raises:
        StateUnusableError: the folder holds what this version cannot read.
    """

    def __init__(
        self,
        url: str,
        *,
        logs: Path | None = None,
        speed: float = 1.0,
        settings: RuntimeSettings | None = None,
        state: Path | None = None,
    ) -> None:
        settings = RuntimeSettings() if settings is None else settings
        corrections.apply()
        Subscribers(
            speed=speed,
            url=url,
            waits_for_confirmation=settings.choices.sns_confirmation == "waited-for",
        ).apply()
        clients = LocalClients(self, url)
        self.store = Store(DEFAULT_ACCOUNT_ID)
        self._reports = Reports(self.store)
        max_instances = settings.limits.max_instances_per_variant
        self.sagemaker = SageMakerApi(self.store, max_instances=max_instances)
        self.logs = None if logs is None else ContainerLogs(logs, DEFAULT_ACCOUNT_ID)
        self.cloudwatch = CloudWatch(
            DEFAULT_ACCOUNT_ID,
            clients,
            speed=speed,
            silence_s=settings.limits.alarm_silence_s,
            extra_datapoints=settings.limits.alarm_extra_datapoints,
        )
        self.autoscaler = Autoscaler(
            self.store, self.cloudwatch.alarms, Clock(speed), choices=settings.scaling
        )
        self.cloudwatch.evaluation.on_action(SCALING_POLICY, self.autoscaler.called)
        self.cloudwatch.evaluation.also(self.autoscaler.step)
        self._scaling = AutoscalingApi(
            self.autoscaler,
            self.cloudwatch.api,
            DEFAULT_ACCOUNT_ID,
            max_instances=max_instances,
        )
        self.cloudformation = CloudFormationApi(DEFAULT_ACCOUNT_ID, clients, self.store)
        self._json_apis: dict[str, SageMakerApi | AutoscalingApi | ContainerLogs] = {
            _SAGEMAKER_TARGET: self.sagemaker,
            autoscaling_api.TARGET: self._scaling,
        }
        if self.logs is not None:
            self._json_apis[container_logs.TARGET] = self.logs
        self._console = Console(
            Sources(
                store=self.store,
                sagemaker=self.sagemaker,
                cloudwatch=self.cloudwatch,
                scaling=self._scaling,
                logs=self.logs,
                clients=clients,
                url=url,
                account_id=DEFAULT_ACCOUNT_ID,
            )
        )
        self._moto: Application = DomainDispatcherApplication(create_backend_app)
        self.keeper = None if state is None else self._keep(state)
        self._kept = None if self.keeper is None else KeptAnswers(self.keeper)

    def _keep(self, folder: Path) -> Keeper:
        """Take up what an earlier life has left, and leave what changes to the next."""
        keeper = Keeper(folder)
        keeper.open(
            [
                Part(HOSTING, self.store.give, self.store.take),
                Part(STACKS, self.cloudformation.stacks.give, self.cloudformation.stacks.take),
                Part(SCALING, self.autoscaler.give, self.autoscaler.take, drifts=True),
                Part(ALARMS, self.cloudwatch.alarms.give, self.cloudwatch.alarms.take, drifts=True),
                Part(
                    DASHBOARDS,
                    self.cloudwatch.api.dashboards.give,
                    self.cloudwatch.api.dashboards.take,
                ),
            ]
        )
        self.store.on_change = partial(keeper.changed, HOSTING)
        self.cloudformation.stacks.touched = partial(keeper.changed, STACKS)
        self.cloudformation.engine.unit = keeper.unit
        return keeper

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self._kept is None:
            return self._answer(environ, start_response)
        return self._kept.answer(environ, start_response, self._answer)

    def _answer(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(INTERNAL_PREFIX):
            return _send(start_response, *self._internal(environ))
        if self._console.takes(environ):
            return self._console(environ, start_response)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        prefix, _, operation = target.rpartition(".")
        api = self._json_apis.get(f"{prefix}.")
        if api is not None:
            answer = self._own(api, operation, environ)
            if answer is not None:
                return _send(start_response, *answer)
        protocol = wire.recognize(environ)
        if protocol is not None:
            body = environ["wsgi.input"].read(_content_length(environ))
            answered = self.cloudwatch.answer(protocol, environ, body, _region(environ))
            status, headers, document = answered
            start_response(f"{status.value} {status.phrase}", headers)
            return [document]
        if _service(environ) == "cloudformation":
            body = environ["wsgi.input"].read(_content_length(environ))
            return self._stacks(query_protocol.parse_form(body), _region(environ), start_response)
        return self._ask_moto(environ, start_response)

    def _stacks(
        self, form: dict[str, str], region: str, start_response: StartResponse
    ) -> list[bytes]:
        """Answer a CloudFormation request."""
        request_id, name = str(uuid.uuid4()), form.get("Action", "")
        model = service_model("cloudformation")
        if name not in self.cloudformation.operations:
            status = HTTPStatus.NOT_IMPLEMENTED
            message = f"not implemented by the local runtime: CloudFormation {name}"
            operation = model.operation_model("DescribeStacks")
            document = query_protocol.error(operation, "NotImplemented", message, request_id)
        else:
            operation = model.operation_model(name)
            try:
                request = query_protocol.parse_request(operation, form)
                answer = self.cloudformation.call(name, request, region)
                status = HTTPStatus.OK
                document = query_protocol.response(operation, answer, request_id)
            except ApiError as refusal:
                status = HTTPStatus(refusal.status)
                code = refusal.code.replace("ValidationException", "ValidationError")
                document = query_protocol.error(operation, code, str(refusal), request_id)
        headers = [
            ("Content-Type", query_protocol.CONTENT_TYPE),
            ("Content-Length", str(len(document))),
            ("x-amzn-RequestId", request_id),
        ]
        start_response(f"{status.value} {status.phrase}", headers)
        return [document]

    def _internal(self, environ: Environ) -> tuple[HTTPStatus, Any]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        query = parse_qs(environ.get("QUERY_STRING", ""))
        if (method, path) == ("GET", f"{INTERNAL_PREFIX}health"):
            return HTTPStatus.OK, {"status": "ok"}
        if (method, path) == ("GET", f"{INTERNAL_PREFIX}endpoints"):
            return self._desired(query)
        if (method, path) == ("GET", f"{INTERNAL_PREFIX}alarms"):
            return HTTPStatus.OK, self._alarm_states(query["region"][0], query.get("name", []))
        if (method, path) == ("POST", f"{INTERNAL_PREFIX}metrics"):
            batch = environ["wsgi.input"].read(_content_length(environ))
            self.cloudwatch.api.take_batch(json.loads(batch))
            return HTTPStatus.NO_CONTENT, None
        if method == "POST" and self._reports.takes(path):
            body = environ["wsgi.input"].read(_content_length(environ))
            return self._reports.take(path, body)
        return HTTPStatus.NOT_FOUND, {"message": f"no route {method} {path}"}

    def _desired(self, query: dict[str, list[str]]) -> tuple[HTTPStatus, Any]:
        try:
            after = int(query.get("after", ["0"])[0])
            wait_s = float(query.get("wait_s", ["0"])[0])
        except ValueError as fault:
            return HTTPStatus.BAD_REQUEST, {"message": f"after and wait_s: {fault}"}
        return HTTPStatus.OK, self.store.desired(after=after, wait_s=min(wait_s, LONG_POLL_LIMIT_S))

    def _alarm_states(self, region: str, names: list[str]) -> dict[str, str | None]:
        """The state of each alarm; None for one that does not exist."""
        found = {name: self.cloudwatch.alarms.find(region, name) for name in names}
        return {name: None if alarm is None else alarm.state for name, alarm in found.items()}

    def _own(
        self, api: SageMakerApi | AutoscalingApi | ContainerLogs, operation: str, environ: Environ
    ) -> tuple[HTTPStatus, Any] | None:
        """Answer an operation of an API of ours, or None for moto to answer it."""
        body = environ["wsgi.input"].read(_content_length(environ))
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            request = _json_object(body)
            if not api.handles(operation, request, _region(environ)):
                return None
            return HTTPStatus.OK, api.call(operation, request, _region(environ))
        except ApiError as refusal:
            return HTTPStatus(refusal.status), {"__type": refusal.code, "message": str(refusal)}

    def _ask_moto(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        confirmed = subscription_confirmation.visit(environ)
        if confirmed is not None:
            return _send(start_response, HTTPStatus.OK, {"SubscriptionArn": confirmed})
        if environ.get("HTTP_HOST") == _DATA_PLANE_HOST:
            environ.setdefault("HTTP_AUTHORIZATION", _UNCHECKED_SIGNATURE)
        corrections.use_path_style(environ)
        try:
            return self._moto(environ, start_response)
        except NotImplementedError as gap:
            # 501 because clients retry a 500, and no retry will implement an operation.
            message = f"not implemented by the local runtime: {gap}"
            error = {"__type": "NotImplemented", "message": message}
            return _send(start_response, HTTPStatus.NOT_IMPLEMENTED, error)
        except Exception as fault:
            # moto's handlers let anything escape; the caller shall see what, not a closed line.
            _log.exception("moto failed on %s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            error = {"__type": "InternalFailure", "message": f"moto {MOTO_VERSION}: {fault!r}"}
            return _send(start_response, HTTPStatus.INTERNAL_SERVER_ERROR, error)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body or b"{}")
    except ValueError as fault:
        raise SerializationException(f"request body is not JSON: {fault}") from fault
    if not isinstance(request, dict):
        raise SerializationException("request body is not a JSON object")
    return request


def _content_length(environ: Environ) -> int:
    return int(environ.get("CONTENT_LENGTH") or 0)


def _region(environ: Environ) -> str:
    scope = _CREDENTIAL_SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return DEFAULT_REGION if scope is None else scope["region"]


def _service(environ: Environ) -> str | None:
    scope = _CREDENTIAL_SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    return None if scope is None else scope["service"]


def _send(start_response: StartResponse, status: HTTPStatus, document: Any) -> list[bytes]:
    body = b"" if document is None else json.dumps(document).encode()
    headers = [
        ("Content-Type", "application/x-amz-json-1.1"),
        ("x-amzn-RequestId", str(uuid.uuid4())),
    ]
    if status is not HTTPStatus.NO_CONTENT:
        headers.append(("Content-Length", str(len(body))))
    start_response(f"{status.value} {status.phrase}", headers)
    return [body] if body else []


def serve(
    socket: Path,
    url: str,
    *,
    logs: Path | None,
    speed: float,
    settings: RuntimeSettings,
    state: Path | None = None,
) -> None:
    """Answer requests on a unix socket until the process is told to stop.

    Raises:
        StateUnusableError: ``state`` holds what this version cannot read.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    control_plane = ControlPlane(url, logs=logs, speed=speed, settings=settings, state=state)
    keeper = control_plane.keeper
    if keeper is not None:
        keeper.keep_writing()
        # What was answered is written. This writes what has changed by itself since.
        signal.signal(signal.SIGTERM, lambda *_: _end(keeper))
        for stack in control_plane.cloudformation.stacks.interrupted():
            control_plane.cloudformation.engine.end_interrupted(stack)
    if control_plane.logs is not None:
        control_plane.logs.files.keep_looking(LOOK_INTERVAL_S)
    control_plane.cloudwatch.start()
    server = waitress.create_server(
        control_plane,
        unix_socket=str(socket),
        unix_socket_perms="600",
        threads=THREADS,
        max_request_body_size=REQUEST_BODY_LIMIT_BYTES,
        ident=None,
    )
    server.run()


def _end(keeper: Keeper) -> None:
    try:
        keeper.close()
    except StateUnwritableError as error:
        _log.error("%s", error)
    os._exit(0)
