"""The event stream encoding, as botocore's own parser reads it."""

from __future__ import annotations

import json

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from local_runtime.event_stream import payload_parts, stream_error


@given(data=st.binary(max_size=600_000))
def test_a_body_of_any_length_is_read_back_in_parts(data: bytes) -> None:
    buffer = EventStreamBuffer()
    for event in payload_parts(data):
        buffer.add_data(event)

    events = list(buffer)

    assert b"".join(event.payload for event in events) == data
    assert all(event.headers[":event-type"] == "PayloadPart" for event in events)
    assert all(0 < len(event.payload) <= 256 * 1024 for event in events)


def test_an_error_is_an_exception_with_its_code() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(stream_error("StreamBroken", "the line was cut"))

    (event,) = buffer

    assert event.headers[":message-type"] == "exception"
    assert event.headers[":exception-type"] == "ModelStreamError"
    assert json.loads(event.payload) == {"Message": "the line was cut", "ErrorCode": "StreamBroken"}
