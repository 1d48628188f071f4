"""What an IAM role of the templates is allowed, as far as the templates say.

An ARN is compared as text in which each resource of the templates is one symbol. What is not
known (a partition, a region, a parameter) matches anything, so that only a certain lack is a lack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from constructs_lib.rules import values
from constructs_lib.rules.resources import Resource, Templates

# One character each, from Unicode's private use area: any text, and the symbols of resources.
_ANY = "\ue000"
_FIRST_SYMBOL = 0xE001
_PLACEHOLDER = re.compile(r"\$\{[^{}]*\}")


@dataclass(frozen=True, slots=True)
class Access:
    """The statements that allow something to one role."""

    allowed: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
    templates: Templates
    symbols: Mapping[str, str]

    @classmethod
    def of(cls, role: Resource, templates: Templates) -> Access | None:
        """Read a role's permissions; None when some are not in the templates."""
        symbols = _symbols(templates)
        documents = _documents(role, templates)
        if documents is None:
            return None
        allowed = []
        for document in documents:
            statements = values.at(document, "Statement")
            for statement in [statements] if isinstance(statements, Mapping) else statements:
                effect = values.text(values.at(statement, "Effect"))
                actions = _texts(values.at(statement, "Action"))
                resources = _texts(values.at(statement, "Resource"))
                if effect == "Deny":
                    continue
                if effect != "Allow" or actions is None or resources is None:
                    return None
                allowed.append(
                    (
                        tuple("*" if "${" in each else each for each in actions),
                        tuple(_canonical(each, symbols) for each in resources),
                    )
                )
        return cls(tuple(allowed), templates, symbols)

    def may(self, action: str, arn: str) -> bool:
        """Whether a statement allows an action on an ARN, or may do so."""
        for actions, resources in self.allowed:
            if not any(_overlap(each.lower(), action.lower()) for each in actions):
                continue
            if any(_same_resource(each, arn) for each in resources):
                return True
        return False

    def canonical(self, expression: str) -> str:
        """An expression with each resource of the templates as one symbol."""
        return _canonical(expression, self.symbols)

    def object_arn(self, bucket: str, key: str) -> str:
        """The ARN of an object."""
        return _canonical(f"arn:*:s3:::{bucket}/{key}", self.symbols)

    def admits_from_outside(self, bucket: str) -> bool:
        """Whether a policy of the bucket itself may let the role in."""
        owners = {values.expression(each.get("Bucket")) for each in self._bucket_policies()}
        return bucket in owners

    def is_own_key(self, key: str) -> bool:
        """Whether a key is one of the templates, so that its policy is known too."""
        return key in self.symbols

    def key_admits(self, key: str, role: Resource) -> bool:
        """Whether a key's own policy may let a role in."""
        arn = role.attribute("Arn")
        for resource in self.templates.of_type("AWS::KMS::Key"):
            if key in {resource.ref, resource.attribute("Arn"), resource.attribute("KeyId")}:
                return arn in str(resource.get("KeyPolicy"))
        return True

    def _bucket_policies(self) -> Iterator[Resource]:
        for policy in self.templates.of_type("AWS::S3::BucketPolicy"):
            statements = values.items(policy.get("PolicyDocument", "Statement"))
            if any(values.text(values.at(each, "Effect")) != "Deny" for each in statements):
                yield policy


def arn_of(rest: str) -> str:
    """An ARN in any partition; "*" stands for what is not known."""
    return f"arn:*{rest}".replace("*", _ANY) if rest != "*" else _ANY


def _symbols(templates: Templates) -> dict[str, str]:
    """What stands for a resource's ARN, or for the name of a bucket, as its own symbol."""
    symbols: dict[str, str] = {}
    position = _FIRST_SYMBOL
    for resource_type, forms, name_property, arn in (
        ("AWS::S3::Bucket", ("Arn",), "BucketName", "arn:*:s3:::"),
        ("AWS::SNS::Topic", ("TopicArn",), "TopicName", "arn:*:sns:*:*:"),
        ("AWS::KMS::Key", ("Arn", "KeyId"), "", "arn:*:kms:*:*:key/"),
    ):
        for resource in templates.of_type(resource_type):
            name = values.text(resource.get(name_property))
            # A resource with a name of its own may be meant by that name elsewhere.
            symbol = f"{arn}{chr(position) if name is None else name}"
            position += 1
            for expression in (resource.ref, *map(resource.attribute, forms)):
                symbols[expression] = symbol
    return symbols


def _canonical(expression: str, symbols: Mapping[str, str]) -> str:
    # A call that cannot be carried out yet may give anything, also braces of its own.
    if "${Fn::" in expression:
        return _ANY
    known = _PLACEHOLDER.sub(lambda found: symbols.get(found[0], "*"), expression)
    # A bucket's ARN written out around its name is the ARN that its symbol stands for.
    known = re.sub(r"^arn:[^:]*:s3:::(?=arn:)", "", known)
    return known.replace("${", "*").replace("*", _ANY)


def _documents(role: Resource, templates: Templates) -> list[Any] | None:
    managed = role.get("ManagedPolicyArns")
    inline = role.get("Policies")
    if not values.is_complete(managed) or not values.is_complete(inline):
        return None
    documents = [values.at(policy, "PolicyDocument") for policy in values.items(inline)]
    own = {role.ref, values.expression(role.get("RoleName"))} - {None}
    attached = {values.expression(arn) for arn in values.items(managed)}
    found = set()
    known_roles = {each.ref for each in templates.of_type("AWS::IAM::Role")}
    if not templates.has_all("AWS::IAM::"):
        return None
    for policy in templates.of_type(
        "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"
    ):
        roles = policy.get("Roles")
        named = {values.expression(each) for each in values.items(roles)}
        named.add(values.expression(policy.get("RoleName")))
        if any(name is not None and "${" in name and name not in known_roles for name in named):
            return None
        if own & named or policy.ref in attached:
            documents.append(policy.get("PolicyDocument"))
            found.add(policy.ref)
        elif roles is not None and not values.is_complete(roles):
            return None
    if attached - found:
        return None
    readable = all(
        isinstance(values.at(document, "Statement"), list | Mapping)
        and not _has_negation(values.at(document, "Statement"))
        for document in documents
    )
    return documents if readable else None


def _has_negation(statements: Any) -> bool:
    listed = [statements] if isinstance(statements, Mapping) else statements
    return any(
        not isinstance(each, Mapping) or "NotAction" in each or "NotResource" in each
        for each in listed
    )


def _texts(value: Any) -> tuple[str, ...] | None:
    found = [values.expression(each) for each in (value if isinstance(value, list) else [value])]
    known = tuple(each for each in found if each is not None)
    return known if len(known) == len(found) else None


def _same_resource(left: str, right: str) -> bool:
    """Whether two ARNs may be one; compared part by part, so that "*" stays within its part."""
    left_parts, right_parts = left.split(":", 5), right.split(":", 5)
    if len(left_parts) == len(right_parts) == 6:
        return all(map(_overlap, left_parts, right_parts))
    return _overlap(left, right)


@lru_cache(maxsize=4096)
def _overlap(left: str, right: str) -> bool:
    """Whether some text matches both patterns, in which "*" and what is not known match any."""
    left, right = left.replace("*", _ANY), right.replace("*", _ANY)
    # Row by row: which ends of ``right`` are reachable after each character of ``left``.
    reachable = [True, *(False for _ in right)]
    for n, character in enumerate(right):
        reachable[n + 1] = reachable[n] and character == _ANY
    for character in left:
        row = [reachable[0] and character == _ANY]
        for n, other in enumerate(right):
            if _ANY in (character, other):
                row.append(reachable[n] or reachable[n + 1] or row[n])
            else:
                row.append(reachable[n] and (character == other or "?" in (character, other)))
        reachable = row
    return reachable[-1]
