"""The checks of every rule; importing a module registers its own."""

from constructs_lib.rules.checks import (
    components,
    containers,
    images,
    metrics,
    models,
    permissions,
    rollout,
    scaling,
    serverless,
    step_scaling,
    variants,
)

__all__ = [
    "components",
    "containers",
    "images",
    "metrics",
    "models",
    "permissions",
    "rollout",
    "scaling",
    "serverless",
    "step_scaling",
    "variants",
]
