"""What is checked before anything is created."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from benchmarking.aws import Account, explained
from benchmarking.deployment import own_bucket
from benchmarking.errors import RefusedError
from benchmarking.payloads import Payload, oversize
from benchmarking.plan import Placement
from benchmarking.settings import Settings
from hosting import options, quotas, validation
from hosting.quotas import ServerlessQuota


@dataclass(frozen=True, kw_only=True, slots=True)
class Preflight:
    """What is known about the model, the payloads and the account.

    Args:
        model: DescribeModel's answer.
        quota: None: there is none to keep to.
        instance_quota: instances of each type that endpoints may have, as far as it is known.
    """

    model: Mapping[str, Any]
    payloads: Sequence[Payload]
    bucket: str | None
    quota: ServerlessQuota | None
    instance_quota: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def infeasible(self, placement: Placement) -> str | None:
        """Why an endpoint is not possible for this model and these payloads, or None."""
        reasons = self._reasons(placement)
        large = oversize(self.payloads, placement.option)
        if large is not None:
            reasons.append(large)
        return "; ".join(reasons) if reasons else None

    def _reasons(self, placement: Placement) -> list[str]:
        named = [n for n, each in enumerate(self.payloads, 1) if each.target_model is not None]
        many = options.is_multi_model(self.model)
        if placement.is_serverless:
            assert placement.memory_size_mb is not None, "a serverless placement has a size"
            assert placement.max_concurrency is not None, "and a concurrency"
            return [
                *options.against_serverless(self.model),
                *validation.serverless_size(
                    placement.memory_size_mb,
                    placement.max_concurrency,
                    placement.provisioned_concurrency,
                ),
                *self._against_quota(placement.max_concurrency),
            ]
        assert placement.instance_type is not None, "an option on instances has a type"
        assert placement.instances is not None, "and a number"
        reasons = []
        allowed = self.instance_quota.get(placement.instance_type)
        if allowed is not None and placement.instances > allowed:
            reasons.append(
                f"the account's quota admits {allowed} {placement.instance_type} for endpoints"
            )
        if placement.option == "real-time":
            return reasons + options.against_instances(self.model, placement.instance_type)
        if self.bucket is None and not (placement.option == "multi-model" and many):
            reasons.append("it needs a bucket, and the model has no artifact in one: give --bucket")
        if placement.option == "async":
            return reasons + options.against_async(self.model, placement.instance_type)
        if many and len(named) < len(self.payloads):
            reasons.append("every payload must have a target_model, as the model is multi-model")
        return reasons + options.against_multi_model(self.model, placement.instance_type)

    def _against_quota(self, max_concurrency: int) -> list[str]:
        if self.quota is None or self.quota.source == quotas.careful().source:
            return []  # AWS decides
        if max_concurrency <= self.quota.concurrency:
            return []
        admitted = self.quota.concurrency
        return [f"the account's quota admits {admitted} concurrent serverless requests in all"]


def examine(
    account: Account, settings: Settings, model: Mapping[str, Any], payloads: Sequence[Payload]
) -> Preflight:
    """Look at what a run needs; nothing is created."""
    notes: list[str] = []
    quota, per_type = _quotas(account, settings, notes)
    if account.local_speed is not None:
        notes.append(
            "measured on the local runtime: its endpoints are processes of one machine, so only"
            " comparisons of requests' outcomes carry over to AWS, not times"
        )
    return Preflight(
        model=model,
        payloads=payloads,
        bucket=settings.bucket if settings.bucket is not None else own_bucket(model),
        quota=quota,
        instance_quota=per_type,
        notes=tuple(notes),
    )


def require_possible(reasons: Sequence[str | None]) -> None:
    """Refuse a plan of which nothing is possible.

    Raises:
        RefusedError: every endpoint has a reason against it.
    """
    if reasons and all(reason is not None for reason in reasons):
        distinct = dict.fromkeys(reason for reason in reasons if reason is not None)
        raise RefusedError(f"nothing can be measured: {'; '.join(distinct)}")


def _quotas(
    account: Account, settings: Settings, notes: list[str]
) -> tuple[ServerlessQuota | None, Mapping[str, int]]:
    if settings.serverless_quota is not None:
        endpoints, concurrency = settings.serverless_quota
        given = ServerlessQuota(endpoints=endpoints, concurrency=concurrency, source="the user")
        return given, {}
    if account.local_speed is not None:
        return None, {}
    try:
        return _read_quotas(account, settings)
    except (ClientError, BotoCoreError) as error:
        careful = quotas.careful()
        notes.append(
            f"the account's quotas cannot be read ({explained(error)}): endpoints are created"
            f" within {careful.source}, {careful.endpoints} endpoints and a concurrency of"
            f" {careful.concurrency} at a time; --serverless-quota says otherwise"
        )
        return careful, {}


def _read_quotas(account: Account, settings: Settings) -> tuple[ServerlessQuota, Mapping[str, int]]:
    client = account.client("service-quotas")
    concurrency = client.get_service_quota(
        ServiceCode=quotas.SERVICE_CODE, QuotaCode=quotas.SERVERLESS_CONCURRENCY_CODE
    )["Quota"]["Value"]
    types = {
        quotas.INSTANCES_NAME.format(instance_type=name): name for name in settings.instance_types
    }
    endpoints = quotas.documented(account.region).endpoints
    per_type: dict[str, int] = {}
    pages = client.get_paginator("list_service_quotas").paginate(ServiceCode=quotas.SERVICE_CODE)
    for each in (each for page in pages for each in page["Quotas"]):
        if re.search(quotas.SERVERLESS_ENDPOINTS_NAME, each["QuotaName"], re.IGNORECASE):
            endpoints = int(each["Value"])
        elif each["QuotaName"] in types:
            per_type[types[each["QuotaName"]]] = int(each["Value"])
    found = ServerlessQuota(
        endpoints=endpoints, concurrency=int(concurrency), source="Service Quotas"
    )
    return found, per_type
