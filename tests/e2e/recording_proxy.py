"""A proxy before the local runtime that writes down what AWS would have authorized."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.iam_policy import Call

from .conftest import ACCOUNT_ID, PATIENCE_S, REGION

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}"
# What the local runtime does not have, and AWS answers.
_QUOTA = {"QuotaName": "Number of serverless endpoints", "Value": 50.0}
_ANSWERS: dict[str, Any] = {
    "ServiceQuotasV20190624.GetServiceQuota": {"Quota": _QUOTA},
    "ServiceQuotasV20190624.ListServiceQuotas": {"Quotas": [_QUOTA]},
    "AWSPriceListService.GetProducts": {"FormatVersion": "aws_v1", "PriceList": []},
}


class RecordingProxy:
    """Hands requests to a runtime, and keeps a ``Call`` for each authorization they need.

    Args:
        as_aws: whether the runtime hides that it is local.
    """

    def __init__(self, runtime_url: str, *, as_aws: bool = False) -> None:
        self.calls: list[Call] = []
        self._runtime = urlsplit(runtime_url)
        self._as_aws = as_aws
        self._tags: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            # Head and body leave together.
            wbufsize = -1

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                status, headers, answer = proxy.pass_on(
                    self.command, self.path, dict(self.headers.items()), body
                )
                self.send_response_only(status)
                for name, value in headers:
                    self.send_header(name, value)
                if not any(name.lower() == "content-length" for name, _ in headers):
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                self.wfile.flush()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def pass_on(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Record a request and let the runtime answer it."""
        if path.startswith("/_local_runtime/"):
            if self._as_aws:
                return 404, [], b""
        else:
            with self._lock:
                self.calls += self._authorizations(method, path, headers, body)
        target = {name.lower(): value for name, value in headers.items()}.get("x-amz-target", "")
        if target in _ANSWERS:
            answer = json.dumps(_ANSWERS[target]).encode()
            return 200, [("Content-Type", "application/x-amz-json-1.1")], answer
        connection = http.client.HTTPConnection(
            str(self._runtime.hostname), self._runtime.port, timeout=PATIENCE_S
        )
        try:
            kept = {
                name: value
                for name, value in headers.items()
                if name.lower() not in {"connection", "expect"}
            }
            connection.request(method, path, body=body, headers=kept)
            answered = connection.getresponse()
            content = answered.read()
            passed = [
                (name, value)
                for name, value in answered.getheaders()
                if name.lower() not in _HOP_BY_HOP
            ]
            if method == "HEAD":
                passed.append(("Content-Length", answered.getheader("Content-Length", "0")))
            return answered.status, passed, content
        finally:
            connection.close()

    def _authorizations(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> Iterator[Call]:
        lower = {name.lower(): value for name, value in headers.items()}
        scope = re.search(
            r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", lower["authorization"]
        )
        assert scope is not None, path
        service = scope[1]
        target = lower.get("x-amz-target")
        invoked = re.fullmatch(r"/endpoints/([^/]+)/(invocations|async-invocations)", path)
        if invoked is not None:
            action = "InvokeEndpoint" + ("" if invoked[2] == "invocations" else "Async")
            yield Call(f"sagemaker:{action}", (f"{_SAGEMAKER}:endpoint/{unquote(invoked[1])}",))
        elif service == "s3":
            yield from _object_store(method, path, lower, body)
        elif service == "sagemaker":
            assert target is not None
            yield from self._sagemaker(target.partition(".")[2], json.loads(body))
        elif service == "cloudformation":
            form = parse_qs(body.decode())
            name = form.get("StackName", [""])[0]
            stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{name or '*'}/*"
            yield Call(f"cloudformation:{form['Action'][0]}", (stack,))
        else:
            assert target is not None, (service, path)
            # Service Quotas and CloudWatch are called otherwise than they sign.
            yield Call(f"{_IAM_NAMES.get(service, service)}:{target.partition('.')[2]}")

    def _sagemaker(self, operation: str, request: dict[str, Any]) -> Iterator[Call]:
        named = [
            f"{_SAGEMAKER}:{kind}/{request[member]}"
            for member, kind in (
                ("EndpointName", "endpoint"),
                ("EndpointConfigName", "endpoint-config"),
                ("ModelName", "model"),
            )
            if isinstance(request.get(member), str)
        ]
        if "ResourceArn" in request:
            named = [request["ResourceArn"]]
        tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", ())}
        asked = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
        carried = {
            f"aws:ResourceTag/{key}": value
            for key, value in (self._tags.get(named[0], {}) if named else {}).items()
        }
        yield Call(f"sagemaker:{operation}", tuple(named) or ("*",), {**asked, **carried})
        if operation.startswith("Create"):
            self._tags[named[0]] = tags
            context = {**asked, "sagemaker:TaggingAction": operation}
            yield Call("sagemaker:AddTags", (named[0],), context)
        if "ExecutionRoleArn" in request:
            passed = {"iam:PassedToService": "sagemaker.amazonaws.com"}
            yield Call("iam:PassRole", (request["ExecutionRoleArn"],), passed)


_IAM_NAMES = {"monitoring": "cloudwatch"}


def _object_store(method: str, path: str, headers: dict[str, str], body: bytes) -> Iterator[Call]:
    parts = urlsplit(path)
    query = parse_qs(parts.query, keep_blank_values=True)
    bucket, _, key = unquote(parts.path).removeprefix("/").partition("/")
    arn = f"arn:aws:s3:::{bucket}"
    if method == "GET" and not key:
        yield Call("s3:ListBucket", (arn,), {"s3:prefix": query.get("prefix", [""])[0]})
    elif method == "POST" and "delete" in query:
        for deleted in re.findall(r"<Key>([^<]+)</Key>", body.decode()):
            yield Call("s3:DeleteObject", (f"{arn}/{deleted}",))
    elif method == "DELETE":
        yield Call(
            "s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject",
            (f"{arn}/{key}",),
        )
    elif method in {"GET", "HEAD"}:
        yield Call("s3:GetObject", (f"{arn}/{key}",))
    else:
        if "x-amz-copy-source" in headers:
            source = unquote(headers["x-amz-copy-source"]).removeprefix("/")
            yield Call("s3:GetObject", (f"arn:aws:s3:::{source}",))
        yield Call("s3:PutObject", (f"{arn}/{key}",))
