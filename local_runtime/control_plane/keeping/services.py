"""moto's services as parts of what is kept: one for each service, account and region."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

from moto.core.base_backend import BaseBackend
from moto.iam.models import AWSManagedPolicy, IAMBackend
from moto.s3.models import S3Backend, s3_backends

from local_runtime.control_plane.keeping import graph
from local_runtime.control_plane.keeping.graph import NotKeepableError, NotReadableError

_PREFIX: Final = "moto"
# Answered by this runtime itself; moto has nothing of them.
_OURS: Final = frozenset({"cloudformation", "cloudwatch", "applicationautoscaling"})
# How the service is called in a signature, where moto calls it otherwise.
_SIGNED_AS: Final = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch"}

_log = logging.getLogger(__name__)


class Services:
    """Every service of moto's that has been asked for something."""

    def __init__(self) -> None:
        self._refused: set[str] = set()

    def names(self) -> set[str]:
        """The names of the parts that there are."""
        return {name for name, _ in _backends()}

    def names_of(self, signed_as: str | None) -> set[str]:
        """The parts that a request may change, by the service that its signature names."""
        service = None if signed_as is None else _SIGNED_AS.get(signed_as, signed_as)
        names = self.names()
        of_service = {name for name in names if name.split("/")[1] == service}
        return of_service if of_service else names

    def dump(self, name: str, shapes: dict[str, list[str]]) -> bytes | None:
        """Write one part; None when it is gone, or holds something that cannot be written."""
        backend = dict(_backends()).get(name)
        if backend is None:
            return None
        try:
            return graph.dump(_state(backend), home=_package(backend), shapes=shapes)
        except NotKeepableError as fault:
            if name not in self._refused:
                self._refused.add(name)
                _log.warning("%s is not kept for the next life: %s", _shown(name), fault)
            return None

    @staticmethod
    def load(name: str, document: bytes) -> None:
        """Bring one part back.

        Raises:
            NotReadableError: it cannot be read.
        """
        _, _, account_id, region, module, kind = name.split("/")
        backend = graph.backend_at(module, kind, account_id, region)
        state = graph.load(document)
        if not isinstance(state, dict):
            raise NotReadableError(f"{_shown(name)}: expected attributes, got {type(state)}")
        _bring_back(backend, state)


def _backends() -> Iterator[tuple[str, BaseBackend]]:
    for backends in graph.services_in_use():
        package = vars(backends)["backend"].__module__.split(".")[1]
        if package in _OURS:
            continue
        for account_id, regions in list(dict.items(backends)):
            for region, backend in list(dict.items(regions)):
                kind = type(backend)
                place = (_PREFIX, package, account_id, region, kind.__module__, kind.__name__)
                yield "/".join(place), backend


def _package(backend: BaseBackend) -> str:
    return type(backend).__module__.split(".")[1]


def _shown(name: str) -> str:
    _, package, _, region, *_ = name.split("/")
    return f"{package} in {region}"


def _state(backend: BaseBackend) -> dict[str, Any]:
    """The attributes of a service, without what moto brings along or what is kept elsewhere."""
    state = dict(vars(backend))
    if isinstance(backend, IAMBackend):
        policies = state.pop("managed_policies")
        state.pop("aws_managed_policies")
        state["own_policies"] = {
            arn: policy
            for arn, policy in policies.items()
            if not isinstance(policy, AWSManagedPolicy)
        }
        state["attachments"] = {
            arn: policy.attachment_count
            for arn, policy in policies.items()
            if isinstance(policy, AWSManagedPolicy) and policy.attachment_count
        }
    if isinstance(backend, S3Backend):
        state.pop("tagger")
        # Tags of objects are kept with these; theirs is the ARN with a slash.
        tags = dict(backend.tagger.tags)
        state["bucket_tags"] = {arn: tags[arn] for arn in tags if "/" not in arn}
    return state


def _bring_back(backend: BaseBackend, state: dict[str, Any]) -> None:
    if isinstance(backend, IAMBackend):
        backend.managed_policies.update(state.pop("own_policies"))
        for arn, count in state.pop("attachments").items():
            backend.managed_policies[arn].attachment_count = count
    if isinstance(backend, S3Backend):
        backend.tagger.tags.update(state.pop("bucket_tags"))
    vars(backend).update(state)
    if isinstance(backend, S3Backend):
        for name, bucket in backend.buckets.items():
            s3_backends.bucket_accounts[name] = (bucket.partition, bucket.account_id)
