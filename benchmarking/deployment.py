"""Endpoints for a run: created with random names and tags, waited for, and removed.

Each endpoint has a configuration of its own. Everything is announced in the journal first.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from benchmarking.aws import Account, code_of, explained
from benchmarking.journal import Journal, Thing, now
from benchmarking.plan import Placement
from benchmarking.removal import Notify, remove
from hosting import limits, options
from hosting.benchmark_policy import CREATOR, CREATOR_TAG, FOLDER, NAME_PREFIX

VARIANT_NAME: Final = "AllTraffic"
RUN_TAG: Final = "benchmark-run"
CREATED_TAG: Final = "benchmark-created-at"

_READY_TIMEOUT_S: Final = 45 * 60  # AWS gives a container up to an hour if asked; most take minutes
_POLL_S: Final = 5.0
_LOCAL_POLL_S: Final = 0.1
# A configuration that was just created may not be seen yet. Source: service model, CreateEndpoint.
_STALE_READS: Final = 5

_log = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True)
class Deployed:
    """One endpoint of the run.

    Args:
        things: what has to be removed with it.
        failure: why it cannot be measured; None when it can.
        over_quota: whether the account's quota is the reason: there may be room later.
        ready_at_s: on the monotonic clock, when it was in service.
        target_models: what its requests name, of a multi-model endpoint.
        output: where its answers go, of an asynchronous one.
    """

    placement: Placement
    endpoint_name: str
    things: list[Thing]
    failure: str | None = None
    over_quota: bool = False
    ready_at_s: float | None = None
    target_models: tuple[str, ...] = ()
    output: str | None = None


class Deployment:
    """Creates and removes the endpoints of one run.

    Args:
        model: DescribeModel's answer.
        bucket: for artifacts and answers; None: the one that the model's artifact is in.
        tags: the user's, beside ours.
        copies: models behind a multi-model endpoint that is made from a single one.
    """

    def __init__(
        self,
        account: Account,
        journal: Journal,
        model: Mapping[str, Any],
        *,
        bucket: str | None = None,
        tags: Mapping[str, str] | None = None,
        copies: int = 1,
    ) -> None:
        self._account = account
        self._journal = journal
        self._model = model
        self._bucket = bucket
        self._tags = dict(tags) if tags is not None else {}
        self._copies = copies
        self._alive: list[Deployed] = []

    @property
    def poll_s(self) -> float:
        """How long to wait between two looks at an endpoint."""
        return _POLL_S if self._account.local_speed is None else _LOCAL_POLL_S

    @property
    def alive(self) -> Sequence[Deployed]:
        """What was created and not removed."""
        return tuple(self._alive)

    def create(self, placement: Placement) -> Deployed:
        """Begin to create an endpoint; what AWS refuses is its failure."""
        name = self._name(placement)
        deployed = Deployed(placement=placement, endpoint_name=name, things=[])
        self._alive.append(deployed)
        try:
            self._create(deployed)
        except ClientError as error:
            deployed.failure = explained(error)
            deployed.over_quota = code_of(error) == "ResourceLimitExceeded"
        return deployed

    def wait(self, waiting: Sequence[Deployed], *, ready: Callable[[Deployed], None]) -> None:
        """Wait until each is in service or has failed; ``ready`` is told of each in turn."""
        pending = [each for each in waiting if each.failure is None]
        deadline_s = time.monotonic() + _READY_TIMEOUT_S
        while pending:
            for each in pending:
                described = self.describe(each)
                status = described["EndpointStatus"]
                if status == "InService":
                    each.ready_at_s = time.monotonic()
                elif status != "Creating":
                    reason = described.get("FailureReason", "without a reason")
                    each.failure = f"the endpoint is {status}: {reason}"
                elif time.monotonic() > deadline_s:
                    each.failure = f"the endpoint was still Creating after {_READY_TIMEOUT_S} s"
                if each.ready_at_s is not None or each.failure is not None:
                    ready(each)
            pending = [each for each in pending if each.ready_at_s is None and not each.failure]
            if pending:
                time.sleep(self.poll_s)

    def describe(self, deployed: Deployed) -> dict[str, Any]:
        """DescribeEndpoint's answer; status ``Deleted`` when there is no such endpoint."""
        try:
            described: dict[str, Any] = self._account.client("sagemaker").describe_endpoint(
                EndpointName=deployed.endpoint_name
            )
        except ClientError as error:
            if code_of(error) != "ValidationException":
                raise
            return {"EndpointStatus": "Deleted", "FailureReason": explained(error)}
        return described

    def remove(self, deployed: Sequence[Deployed], notify: Notify) -> bool:
        """Remove endpoints with all that belongs to them; whether nothing is left of them."""
        things = [thing for each in deployed for thing in each.things]
        left = remove(self._account, self._journal, things, notify=notify, poll_s=self.poll_s)
        self._alive = [each for each in self._alive if each not in deployed]
        return not left

    def remove_all(self, notify: Notify) -> bool:
        """Remove whatever the journal still has; whether nothing is left."""
        left = remove(
            self._account, self._journal, self._journal.things, notify=notify, poll_s=self.poll_s
        )
        self._alive = []
        return not left

    def _create(self, deployed: Deployed) -> None:
        sagemaker, placement = self._account.client("sagemaker"), deployed.placement
        name = deployed.endpoint_name
        model_name = self._model["ModelName"]
        if placement.option == "multi-model":
            model_name = self._multi_model(deployed)
        config: dict[str, Any] = {
            "EndpointConfigName": name,
            "ProductionVariants": [_variant(placement, model_name)],
            "Tags": self._tag_list(),
        }
        if placement.option == "async":
            deployed.output = f"s3://{self._place()}/{self._journal.begin.run_id}/{name}/"
            deployed.things.append(self._journal.announce("prefix", deployed.output))
            config["AsyncInferenceConfig"] = _async(placement, deployed.output)
        deployed.things.append(self._journal.announce("endpoint-config", name))
        sagemaker.create_endpoint_config(**config)
        deployed.things.append(self._journal.announce("endpoint", name))
        for attempt in range(_STALE_READS):
            try:
                sagemaker.create_endpoint(
                    EndpointName=name, EndpointConfigName=name, Tags=self._tag_list()
                )
            except ClientError as error:
                is_last = attempt == _STALE_READS - 1
                if is_last or "Could not find endpoint configuration" not in str(error):
                    raise
                time.sleep(self.poll_s)
            else:
                return

    def _multi_model(self, deployed: Deployed) -> str:
        """The multi-model form of the model: itself, or a temporary one with copies of its data."""
        container = options.containers(self._model)[0]
        name: str = self._model["ModelName"]
        if options.is_multi_model(self._model):
            return name
        prefix = f"s3://{self._place()}/{self._journal.begin.run_id}/{deployed.endpoint_name}/"
        deployed.things.append(self._journal.announce("prefix", prefix))
        source_bucket, source_key = place(container["ModelDataUrl"])
        bucket, key = place(prefix)
        deployed.target_models = tuple(f"model-{n}.tar.gz" for n in range(self._copies))
        for target in deployed.target_models:
            self._account.client("s3").copy(
                {"Bucket": source_bucket, "Key": source_key}, bucket, f"{key}{target}"
            )
        deployed.things.append(self._journal.announce("model", deployed.endpoint_name))
        request = {
            "ModelName": deployed.endpoint_name,
            "ExecutionRoleArn": self._model["ExecutionRoleArn"],
            "PrimaryContainer": {**container, "Mode": "MultiModel", "ModelDataUrl": prefix},
            "Tags": self._tag_list(),
        }
        for member in ("VpcConfig", "EnableNetworkIsolation"):
            if self._model.get(member):
                request[member] = self._model[member]
        self._account.client("sagemaker").create_model(**request)
        return deployed.endpoint_name

    def _place(self) -> str:
        """Bucket and folder for what has to be in S3."""
        bucket = self._bucket if self._bucket is not None else own_bucket(self._model)
        return f"{bucket}/{FOLDER.rstrip('/')}"

    def _name(self, placement: Placement) -> str:
        """Random enough that two runs never meet: 32 bits of the run and 32 of the endpoint."""
        run_id = self._journal.begin.run_id
        return f"{NAME_PREFIX}{run_id}-{placement.option[:10].strip('-')}-{secrets.token_hex(4)}"

    def _tag_list(self) -> list[dict[str, str]]:
        tags = {
            **self._tags,
            CREATOR_TAG: CREATOR,
            RUN_TAG: self._journal.begin.run_id,
            CREATED_TAG: now(),
        }
        return [{"Key": key, "Value": value} for key, value in tags.items()]


def tagged(account: Account, *, created_before: str) -> Iterator[tuple[Thing, str]]:
    """What this tool has created in the account and region, by its tags, with the run's ID.

    Args:
        created_before: in ISO 8601 with the offset of UTC, as the tags have it.
    """
    sagemaker = account.client("sagemaker")
    for kind, operation, member, name_member, arn_member in (
        ("endpoint", "list_endpoints", "Endpoints", "EndpointName", "EndpointArn"),
        (
            "endpoint-config",
            "list_endpoint_configs",
            "EndpointConfigs",
            "EndpointConfigName",
            "EndpointConfigArn",
        ),
        ("model", "list_models", "Models", "ModelName", "ModelArn"),
    ):
        pages = sagemaker.get_paginator(operation).paginate(NameContains=NAME_PREFIX)
        for summary in (summary for page in pages for summary in page[member]):
            if not summary[name_member].startswith(NAME_PREFIX):
                continue
            try:
                listed = sagemaker.list_tags(ResourceArn=summary[arn_member])["Tags"]
            except ClientError as error:
                _log.debug("%s went while its tags were read: %s", summary[name_member], error)
                continue
            tags = {tag["Key"]: tag["Value"] for tag in listed}
            if tags.get(CREATOR_TAG) == CREATOR and tags.get(CREATED_TAG, "9") < created_before:
                yield Thing(kind, summary[name_member]), tags.get(RUN_TAG, "?")  # type: ignore[arg-type]


def place(url: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URL."""
    parts = urlsplit(url)
    return parts.netloc, parts.path.removeprefix("/")


def own_bucket(model: Mapping[str, Any]) -> str | None:
    """The bucket that the model's artifact is in; None when it has none in S3."""
    for container in options.containers(model):
        url = container.get("ModelDataUrl", "")
        if url.startswith("s3://"):
            return place(url)[0]
    return None


def _variant(placement: Placement, model_name: str) -> dict[str, Any]:
    variant: dict[str, Any] = {"VariantName": VARIANT_NAME, "ModelName": model_name}
    if not placement.is_serverless:
        return {
            **variant,
            "InstanceType": placement.instance_type,
            "InitialInstanceCount": placement.instances,
        }
    size = {
        "MemorySizeInMB": placement.memory_size_mb,
        "MaxConcurrency": placement.max_concurrency,
    }
    if placement.provisioned_concurrency is not None:
        size["ProvisionedConcurrency"] = placement.provisioned_concurrency
    return {**variant, "ServerlessConfig": size}


def _async(placement: Placement, output: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "OutputConfig": {"S3OutputPath": f"{output}output/", "S3FailurePath": f"{output}failure/"}
    }
    if placement.max_concurrency is not None:
        assert placement.max_concurrency in limits.ASYNC_MAX_CONCURRENT_INVOCATIONS
        config["ClientConfig"] = {"MaxConcurrentInvocationsPerInstance": placement.max_concurrency}
    return config
