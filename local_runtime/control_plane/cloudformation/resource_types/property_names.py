"""The properties of the types that this runtime models itself.

A property that CloudFormation does not know fails its resource there, and so it does here. The
table is the types' registry schemas of 2026-11, without what is read only; a test compares it with
the schemas that cfn-lint carries.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

PROPERTY_NAMES: Final[dict[str, frozenset[str]]] = {
    type_name: frozenset(names)
    for type_name, names in json.loads(
        Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    ).items()
}
