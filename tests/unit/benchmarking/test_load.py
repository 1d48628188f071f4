"""Loads against a real server on the loopback interface."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials

from benchmarking.client_pool import UnreachableError
from benchmarking.load import AsyncDelivery, Target, run_closed, run_open
from benchmarking.payloads import Payload
from benchmarking.records import Sample
from benchmarking.workload import Arrivals, burst, constant, poisson
from tests.unit.benchmarking.loopback_server import OK, Asked, Reply, Server, refusal, serving

KEYS = ReadOnlyCredentials("AKID", "secret", None)
PAYLOADS = (
    Payload(body=b"1,2", content_type="text/csv"),
    Payload(body=b"{}", content_type="application/json", accept="text/plain", target_model="a.gz"),
)


def target(server: Server, **parts: Any) -> Target:
    return Target(
        url=server.url,
        endpoint_name="digits",
        region="eu-west-1",
        credentials=lambda: KEYS,
        **parts,
    )


def offered(
    server: Server, arrivals: Arrivals, payloads: Sequence[Payload] = PAYLOADS, **options: Any
) -> list[Sample]:
    samples: list[Sample] = []
    run_open(
        options.pop("target", None) or target(server),
        payloads,
        arrivals,
        **{"cell": "c", "seed": 1, "on_sample": samples.append, "timeout_s": 60.0, **options},
    )
    return sorted(samples, key=lambda sample: sample.number)


def test_each_planned_request_becomes_one_sample() -> None:
    plan = poisson(400, 0.5, seed=2)
    with serving() as server:
        samples = offered(server, plan)

    assert [sample.number for sample in samples] == list(range(len(plan)))
    assert [sample.intended_s for sample in samples] == list(plan)
    assert {sample.outcome for sample in samples} == {"ok"}
    assert len(server.asked) == len(plan)
    for sample in samples:
        assert sample.first_byte_s is not None
        assert 0 <= sample.sent_s <= sample.first_byte_s <= sample.done_s
        assert (sample.status, sample.response_bytes, sample.cold) == (200, 2, None)
        assert sample.request_bytes == len(PAYLOADS[sample.payload].body)


def test_no_request_is_sent_before_its_time() -> None:
    with serving() as server:
        samples = offered(server, constant(100, 0.3))

    assert all((sample.lateness_s or 0.0) >= 0 for sample in samples)


def test_slow_answers_hold_no_request_back() -> None:
    """None of twenty is answered before all of them have been sent."""
    asked = 0
    together = asyncio.Event()

    async def slowly(_: Asked) -> Reply:
        nonlocal asked
        asked += 1
        if asked == 20:
            together.set()
        await together.wait()
        return Reply()

    with serving(slowly) as server:
        samples = offered(server, constant(200, 0.1))

    assert {sample.outcome for sample in samples} == {"ok"}
    assert max(sample.sent_s for sample in samples) < min(sample.done_s for sample in samples)


def test_a_burst_finds_its_connections_open() -> None:
    with serving() as server:
        samples = offered(server, burst(30, every_s=1, duration_s=1))
        first = min(asked.at_s for asked in server.asked)

    assert len(samples) == 30
    assert server.connections >= 30
    assert first > 0


def test_connections_are_used_again() -> None:
    with serving() as server:
        offered(server, constant(20, 2.0))

    assert server.connections < 20
    assert len(server.asked) == 40


def test_requests_before_the_end_of_the_warm_up_are_marked() -> None:
    with serving() as server:
        samples = offered(server, constant(50, 0.4), warm_up_s=0.2)

    assert [sample.phase for sample in samples] == ["warm-up"] * 10 + ["measure"] * 10


def test_the_same_seed_sends_the_same_payloads() -> None:
    with serving() as server:
        first, again, other = (
            [sample.payload for sample in offered(server, constant(200, 0.2), seed=seed)]
            for seed in (1, 1, 2)
        )

    assert first == again
    assert first != other
    assert set(first) == {0, 1}


def test_a_request_says_what_invoke_endpoint_takes() -> None:
    with serving() as server:
        chosen = target(server, inference_component="part")
        offered(server, constant(100, 0.1), PAYLOADS[1:], target=chosen)
    asked = server.asked[0]

    assert (asked.method, asked.path) == ("POST", "/endpoints/digits/invocations")
    assert asked.body == b"{}"
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["accept"] == "text/plain"
    assert asked.headers["x-amzn-sagemaker-target-model"] == "a.gz"
    assert asked.headers["x-amzn-sagemaker-inference-component"] == "part"
    assert "x-amzn-sagemaker-target-variant" not in asked.headers


def test_requests_carry_the_signature_that_botocore_makes() -> None:
    with serving() as server:
        offered(server, constant(100, 0.05))
    asked = server.asked[0]
    names = asked.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    request = AWSRequest(
        asked.method,
        server.url + asked.path,
        headers={name: asked.headers[name] for name in names},
        data=asked.body,
    )
    request.context["timestamp"] = asked.headers["x-amz-date"]
    signer = SigV4Auth(KEYS, "sagemaker", "eu-west-1")
    expected = signer.signature(
        signer.string_to_sign(request, signer.canonical_request(request)), request
    )

    assert asked.headers["authorization"].endswith(f"Signature={expected}")


@pytest.mark.parametrize(
    ("reply", "outcome", "error"),
    [
        (refusal(400, "ThrottlingException", b'{"message":null}'), "throttle", "Throttl"),
        (refusal(429, "ModelNotReadyException", b'{"Message":"wait"}'), "not-ready", "wait"),
        (refusal(424, "ModelError", b'{"Message":"it broke"}'), "model-error", "it broke"),
        (
            refusal(424, "ModelError", b'{"Message":"Insufficient memory"}'),
            "out-of-memory",
            "Insufficient",
        ),
        (refusal(503, "ServiceUnavailable", b"{}"), "other", "ServiceUnavailable"),
        (Reply(b"", close=True), "connection", "without an answer"),
        (Reply(OK[:-1], close=True), "connection", "within the answer"),
        (Reply(b"SSH-2.0-OpenSSH\r\n\r\n", close=True), "other", "not HTTP"),
        (Reply(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 80_000), "other", "64 KiB"),
    ],
)
def test_each_way_to_fail_is_kept_as_what_it_was(reply: Reply, outcome: str, error: str) -> None:
    async def badly(_: Asked) -> Reply:
        return reply

    with serving(badly) as server:
        samples = offered(server, constant(50, 0.1))

    assert [sample.outcome for sample in samples] == [outcome] * 5
    assert all(error in (sample.error or "") for sample in samples)
    assert len(server.asked) == 5, "nothing is sent twice"


def test_answers_without_a_length_end_with_their_connection() -> None:
    async def to_the_end(_: Asked) -> Reply:
        return Reply(b"HTTP/1.1 200 OK\r\n\r\nuntil closed", close=True)

    with serving(to_the_end) as server:
        samples = offered(server, constant(50, 0.1))

    assert {(sample.outcome, sample.response_bytes) for sample in samples} == {("ok", 12)}


def test_chunked_and_interim_answers_are_read_whole() -> None:
    async def in_pieces(_: Asked) -> Reply:
        return Reply(
            b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n"
        )

    with serving(in_pieces) as server:
        samples = offered(server, constant(50, 0.2))

    assert {(sample.outcome, sample.response_bytes) for sample in samples} == {("ok", 8)}
    assert {sample.status for sample in samples} == {200}


def test_a_server_that_closes_after_each_answer_costs_no_request() -> None:
    async def once(_: Asked) -> Reply:
        said = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        return Reply(said, close=True)

    with serving(once) as server:
        samples = offered(server, constant(100, 0.3))

    assert {sample.outcome for sample in samples} == {"ok"}
    assert len(samples) == 30


def test_a_request_without_an_answer_times_out_and_the_others_do_not() -> None:
    async def sometimes(asked: Asked) -> Reply:
        if asked.body == b"1,2":
            await asyncio.sleep(600)
        return Reply()

    with serving(sometimes) as server:
        samples = offered(server, constant(100, 0.2), timeout_s=3.0)

    assert {sample.outcome for sample in samples if sample.payload == 0} == {"timeout"}
    assert {sample.outcome for sample in samples if sample.payload == 1} == {"ok"}
    late = [sample for sample in samples if sample.outcome == "timeout"]
    assert all(sample.service_time_s >= 3 for sample in late)
    assert all(sample.status is None and sample.first_byte_s is None for sample in late)


def test_nobody_listening_is_said_before_anything_is_sent() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Server(url=f"http://127.0.0.1:{free.getsockname()[1]}")
    samples: list[Sample] = []

    with pytest.raises(UnreachableError, match="url must be that of a server"):
        run_open(
            target(server),
            PAYLOADS,
            constant(10, 1),
            cell="c",
            seed=1,
            on_sample=samples.append,
        )
    assert samples == []


def test_a_stop_gives_up_what_is_in_flight_and_keeps_it() -> None:
    stop = threading.Event()

    async def never(_: Asked) -> Reply:
        stop.set()
        await asyncio.sleep(600)
        return Reply()

    with serving(never) as server:
        samples = offered(server, constant(100, 300), stop=stop)

    assert len(samples) < 30_000
    assert len(samples) >= len(server.asked) >= 1
    assert {sample.outcome for sample in samples} == {"other"}
    assert {sample.error for sample in samples} == {"the run was stopped before the answer came"}


def test_a_sample_that_cannot_be_kept_ends_the_load() -> None:
    def full(_: Sample) -> None:
        raise OSError(28, "No space left on device")

    with serving() as server, pytest.raises(OSError, match="No space left"):
        offered(server, constant(100, 60), on_sample=full)


def test_the_start_is_told_on_the_wall_clock() -> None:
    starts: list[float] = []
    with serving() as server:
        samples = offered(
            server, constant(100, 0.1), began=lambda moment: starts.append(moment.timestamp())
        )
        offset_s = time.time() - time.monotonic()
    first = server.asked[0].at_s + offset_s

    # It was asked a little later than it was sent; how much later is the machine's business.
    assert -0.1 <= first - starts[0] - samples[0].sent_s < 60


def test_credentials_that_rotate_are_asked_for_at_the_start() -> None:
    keys = Credentials("OTHER", "secret", "token")
    with serving() as server:
        chosen = Target(
            url=server.url,
            endpoint_name="digits",
            region="eu-west-1",
            credentials=keys.get_frozen_credentials,
        )
        offered(server, constant(100, 0.05), target=chosen)

    assert "Credential=OTHER/" in server.asked[0].headers["authorization"]
    assert server.asked[0].headers["x-amz-security-token"] == "token"


def test_connections_that_the_server_closes_while_idle_cost_no_request() -> None:
    async def briefly(asked: Asked) -> Reply:
        return Reply(close=asked.connection % 2 == 0)

    with serving(briefly) as server:
        samples = offered(server, constant(20, 1.0))

    assert [sample.outcome for sample in samples] == ["ok"] * 20


def test_an_endpoint_that_goes_away_leaves_a_sample_for_each_planned_request() -> None:
    plan = constant(50, 4.0)
    asked = 0

    async def goes_away(_: Asked) -> Reply:
        nonlocal asked
        asked += 1
        if asked == 50:
            server.stop()
        return Reply()

    with serving(goes_away) as server:
        samples = offered(server, plan)

    assert [sample.number for sample in samples] == list(range(len(plan)))
    assert {sample.outcome for sample in samples[:20]} == {"ok"}
    assert {sample.outcome for sample in samples[-20:]} == {"connection"}
    assert {sample.error for sample in samples[-20:]} == {"no connection could be opened"}


def test_a_wall_clock_that_is_set_is_noted_and_changes_no_latency(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    samples: list[Sample] = []
    with serving() as server:
        monkeypatch.setattr(
            "benchmarking.load_engine.wall_time",
            lambda: 1e9 + time.monotonic() + (3600 if len(server.asked) > 10 else 0),
        )
        health = run_open(
            target(server),
            PAYLOADS,
            constant(20, 1.3),
            cell="c",
            seed=1,
            on_sample=samples.append,
        )

    assert re.search(r"the wall clock was set by \+3(599|600)\.\d s", health.notes[0])
    assert all(0 < sample.latency_s < 3000 for sample in samples)
    signed = {(asked.body, asked.headers["x-amz-date"]) for asked in server.asked}
    assert len(signed) == 2 * len(PAYLOADS), "what was signed before is signed anew"


def test_a_client_that_is_held_up_calls_its_own_measurement_invalid() -> None:
    """A callback that takes 50 ms again and again is the client's own doing."""
    samples: list[Sample] = []

    def slowly(sample: Sample) -> None:
        time.sleep(0.05)
        samples.append(sample)

    with serving() as server:
        health = run_open(
            target(server), PAYLOADS, constant(50, 1), cell="c", seed=1, on_sample=slowly
        )

    assert len(samples) == 50
    assert not health.valid
    assert health.backlog_max > 1
    assert "the client could not keep to the plan" in health.reasons[0]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate for the loopback address, signed by itself."""
    path, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(path)),
        ],
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def test_the_services_own_url_is_spoken_to_with_tls(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with serving(tls=tls) as server:
        with pytest.raises(UnreachableError, match="certificate"):
            offered(server, constant(50, 0.2))
        assert server.asked == []

        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        samples = offered(server, constant(50, 0.2))

    assert [sample.outcome for sample in samples] == ["ok"] * 10


def test_an_interrupt_hands_over_what_there_is() -> None:
    samples: list[Sample] = []

    def interrupting(sample: Sample) -> None:
        samples.append(sample)
        if len(samples) == 1:
            signal.raise_signal(signal.SIGINT)

    with serving() as server, pytest.raises(KeyboardInterrupt):
        offered(server, constant(100, 60), on_sample=interrupting)

    assert len(samples) == len(server.asked) >= 1


def test_several_processes_send_each_request_once() -> None:
    plan = poisson(100, 0.5, seed=4)
    with serving() as server:
        samples = offered(server, plan, processes=2)
        single = offered(server, plan)

    assert [sample.number for sample in samples] == list(range(len(plan)))
    assert [sample.intended_s for sample in samples] == list(plan)
    assert [sample.payload for sample in samples] == [sample.payload for sample in single]
    assert len(server.asked) == 2 * len(plan)


def test_a_closed_loop_has_as_many_requests_in_flight_as_clients() -> None:
    under_way: list[int] = []
    current = 0

    async def counting(_: Asked) -> Reply:
        nonlocal current
        current += 1
        under_way.append(current)
        await asyncio.sleep(0.1)
        current -= 1
        return Reply()

    samples: list[Sample] = []
    with serving(counting) as server:
        health = run_closed(
            target(server),
            PAYLOADS,
            clients=4,
            requests=40,
            cell="c",
            seed=1,
            on_sample=samples.append,
        )

    assert max(under_way) == 4
    assert sorted(sample.number for sample in samples) == list(range(40))
    assert health.lateness_p99_s is None
    assert all(sample.intended_s is None for sample in samples)
    assert all(sample.latency_s == sample.service_time_s for sample in samples)


def test_a_closed_loop_ends_after_its_time_and_thinks_between() -> None:
    samples: list[Sample] = []
    with serving() as server:
        run_closed(
            target(server),
            PAYLOADS,
            clients=2,
            duration_s=0.5,
            think_time_s=0.1,
            cell="c",
            seed=1,
            on_sample=samples.append,
        )

    assert 2 <= len(samples) <= 12
    # The last is begun in time; how long it takes to be sent is the machine's business.
    assert max(sample.sent_s for sample in samples) < 30


class Store:
    """An asynchronous endpoint and the object store that its outputs come to."""

    def __init__(self) -> None:
        self.accepted_s: dict[str, float] = {}

    async def answer(self, asked: Asked) -> Reply:
        if asked.path.endswith("/async-invocations"):
            name = f"{len(self.accepted_s)}"
            self.accepted_s[name] = asked.at_s
            return Reply(
                b"HTTP/1.1 202 Accepted\r\n"
                b"X-Amzn-SageMaker-OutputLocation: s3://out/ok/%b\r\n"
                b"X-Amzn-SageMaker-FailureLocation: s3://out/bad/%b\r\n"
                b"content-length: 2\r\n\r\n{}" % (name.encode(), name.encode())
            )
        _, _, kind, name = asked.path.split("/")
        ready = asked.at_s - self.accepted_s[name] > 0.3
        odd = int(name) % 2
        if not ready or kind != ("bad" if odd else "ok"):
            return Reply(b"HTTP/1.1 404 Not Found\r\ncontent-length: 300\r\n\r\n")
        if asked.method == "GET":
            return Reply(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nit broke")
        return Reply(b"HTTP/1.1 200 OK\r\ncontent-length: 77\r\n\r\n")


def test_an_asynchronous_request_lasts_until_its_output_or_failure_is_there() -> None:
    store = Store()
    with serving(store.answer) as server:
        chosen = target(
            server, asynchronous=AsyncDelivery(s3_url=server.url, inputs=("s3://in/0", "s3://in/1"))
        )
        samples = offered(server, constant(50, 0.2), target=chosen)
    posted = [asked for asked in server.asked if asked.method == "POST"]

    assert len(samples) == len(posted) == 10
    assert {asked.path for asked in posted} == {"/endpoints/digits/async-invocations"}
    assert {asked.headers["x-amzn-sagemaker-inputlocation"] for asked in posted} == {
        "s3://in/0",
        "s3://in/1",
    }
    assert {asked.body for asked in posted} == {b""}
    good = [sample for sample in samples if sample.outcome == "ok"]
    bad = [sample for sample in samples if sample.outcome == "model-error"]
    assert (len(good), len(bad)) == (5, 5)
    assert {sample.response_bytes for sample in good} == {77}
    assert {sample.error for sample in bad} == {"it broke"}
    assert all(0.3 <= sample.service_time_s < 2 for sample in samples)


def test_a_stop_keeps_the_asynchronous_requests_that_were_accepted() -> None:
    store, stop = Store(), threading.Event()

    async def never_ready(asked: Asked) -> Reply:
        if asked.method != "POST":
            stop.set()
            return Reply(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        return await store.answer(asked)

    with serving(never_ready) as server:
        chosen = target(server, asynchronous=AsyncDelivery(s3_url=server.url))
        samples = offered(server, constant(50, 60), target=chosen, stop=stop)
    posted = [asked for asked in server.asked if asked.method == "POST"]

    assert len(samples) >= len(posted) >= 1
    assert {sample.outcome for sample in samples} == {"other"}
    assert posted[0].body in {payload.body for payload in PAYLOADS}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clients": 0, "requests": 1}, "clients must be at least 1, got 0"),
        ({"clients": 1}, "supply duration_s or requests, got neither"),
        ({"clients": 1, "requests": 0}, "requests must be above 0, got 0"),
        ({"clients": 1, "requests": 1, "think_time_s": -1}, "think_time_s must be at least 0"),
        ({"clients": 1, "requests": 1, "timeout_s": 0}, "timeout_s must be above 0, got 0"),
    ],
)
def test_what_makes_no_load_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_closed(
            target(Server(url="http://127.0.0.1:1")),
            PAYLOADS,
            cell="c",
            seed=1,
            on_sample=lambda _: None,
            **arguments,
        )
