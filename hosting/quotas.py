"""How many endpoints an account may have, where its own quotas cannot be read.

Source: serverless-endpoints.html (2026-11-20) for the documented numbers. New accounts are seen to
start lower; those numbers are reports of users (re:Post, 2023-2026), so a plan that cannot read the
account's quota keeps to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SERVICE_CODE: Final = "sagemaker"
# "Maximum total concurrency that can be allocated across all serverless endpoints". The code is
# from public Terraform code (2026), not from an AWS page.
SERVERLESS_CONCURRENCY_CODE: Final = "L-96300102"
# Quotas without a known code are found by name. Source: Service Quotas console, as users quote it.
SERVERLESS_ENDPOINTS_NAME: Final = "Number of serverless endpoints"
INSTANCES_NAME: Final = "{instance_type} for endpoint usage"

SERVERLESS_ENDPOINTS: Final = 50
_LARGE_REGIONS: Final = frozenset(
    {
        "us-east-1",
        "us-east-2",
        "us-west-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-northeast-1",
        "eu-central-1",
        "eu-west-1",
    }
)
_LARGE_CONCURRENCY: Final = 1000
_CONCURRENCY: Final = 500
NEW_ACCOUNT_SERVERLESS_ENDPOINTS: Final = 5
NEW_ACCOUNT_CONCURRENCY: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerlessQuota:
    """What all serverless endpoints of an account and region may be together.

    Args:
        source: who says so, for people.
    """

    endpoints: int
    concurrency: int
    source: str


def documented(region: str) -> ServerlessQuota:
    """What AWS's guide promises."""
    return ServerlessQuota(
        endpoints=SERVERLESS_ENDPOINTS,
        concurrency=_LARGE_CONCURRENCY if region in _LARGE_REGIONS else _CONCURRENCY,
        source="AWS's guide",
    )


def careful() -> ServerlessQuota:
    """What even a new account has been seen to have."""
    return ServerlessQuota(
        endpoints=NEW_ACCOUNT_SERVERLESS_ENDPOINTS,
        concurrency=NEW_ACCOUNT_CONCURRENCY,
        source="what new accounts start with",
    )
