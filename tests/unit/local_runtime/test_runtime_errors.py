"""Errors as sagemaker-runtime sends them."""

from __future__ import annotations

import json

import botocore.session

from hosting.limits import ERROR_MESSAGE_MAX_LENGTH
from local_runtime import errors
from local_runtime.errors import ContainerPlace, ModelError, shortened, to_response

PLACE = ContainerPlace("eu-west-1", "123456789012", "screening", "AllTraffic", "i-1", "classify")


def body(error: errors.RuntimeApiError) -> dict[str, object]:
    _, _, content = to_response(error)
    found: dict[str, object] = json.loads(content)
    return found


def test_every_error_that_the_service_model_knows_has_its_status() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker-runtime")
    declared = {
        shape.name: shape.metadata["error"]["httpStatusCode"]
        for shape in model.operation_model("InvokeEndpoint").error_shapes
    }

    for kind in (errors.ValidationError, errors.ModelError, errors.ServiceUnavailable):
        assert declared[kind.code] == kind.status


def test_a_model_error_has_the_fields_of_the_service_model() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker-runtime")

    assert set(body(ModelError(PLACE, 500, "x"))) == set(model.shape_for("ModelError").members)


def test_a_model_error_names_the_container_and_where_its_log_is() -> None:
    found = body(ModelError(PLACE, 400, 'no column "age"'))

    assert found == {
        "Message": 'Received client error (400) from classify with message "no column "age"". See'
        " https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
        "#logEventViewer:group=/aws/sagemaker/Endpoints/screening in account 123456789012 for more"
        " information.",
        "OriginalStatusCode": 400,
        "OriginalMessage": 'no column "age"',
        "LogStreamArn": "arn:aws:logs:eu-west-1:123456789012"
        ":log-group:/aws/sagemaker/Endpoints/screening:log-stream:AllTraffic/i-1/classify",
    }


def test_an_answer_that_could_not_be_loaded_is_said_to_be_so() -> None:
    text = str(ModelError(PLACE, 200, None))

    assert "(200) from classify and could not load the entire response body. See" in text


def test_a_message_is_no_longer_than_the_service_model_allows() -> None:
    found = body(ModelError(PLACE, 500, "first " + "x" * 100_000 + " last"))

    assert len(str(found["Message"])) <= ERROR_MESSAGE_MAX_LENGTH
    assert len(str(found["OriginalMessage"])) <= ERROR_MESSAGE_MAX_LENGTH
    assert str(found["OriginalMessage"]).startswith("first ")
    assert str(found["OriginalMessage"]).endswith(" last")


def test_a_short_text_is_not_shortened() -> None:
    assert shortened("x" * 10, 10) == "x" * 10
    assert shortened("x" * 11, 10) == "xx ... xx"
