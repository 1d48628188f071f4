"""Write docs/rules.md from the catalogue of rules; what people wrote below its marker is kept.

python -m tools.generate_rule_docs [--check]
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from constructs_lib.rules.rule import Rule, catalogue

PAGE = Path(__file__).parent.parent / "docs" / "rules.md"
MARKER = "<!-- Written by people from here on; everything above is generated. -->"

_INTRODUCTION = """\
# Rules

CloudFormation accepts, and SageMaker then refuses or silently strands, templates that are wrong
across fields or across resources. These rules find them before a deployment: in any CDK app (L1
resources, other libraries, included templates)

```python
import aws_cdk as cdk
from constructs_lib.rules import SageMakerInferenceRules

cdk.Validations.of(app).add_plugins(SageMakerInferenceRules())
```

and in plain templates, JSON or YAML, without an app:

```
python -m constructs_lib.rules check TEMPLATE... [--json FILE] [--sarif FILE]
python -m constructs_lib.rules impact OLD NEW
python -m constructs_lib.rules explain SM-A2
```

`check` takes files or folders such as `cdk.out` and reads them together, so that an alarm of one
stack is followed to the endpoint of another. Exit code: 0, no errors; 1, errors; 2, input that
cannot be read. An **error** is refused by AWS or cannot work; a **warning** may be meant. What only
a deployment decides (parameters without a default, imports, conditions) gives no finding.
Parameters count with their defaults.

Acknowledge one finding, on the construct it names, by the id that the report prints:

```python
cdk.Validations.of(endpoint).acknowledge(
    cdk.Acknowledgment(
        id="SageMaker-Inference::SM-U3", reason="each deployment starts from two instances"
    )
)
```

*Documented*: the page says so. *Reasoned*: it follows from what the page says, or users report it.
Pages were read in stored copies, on the day that each rule names; nothing was tried on AWS.
"""


def page(written: str) -> str:
    """The whole page; ``written`` is the part that people wrote."""
    rules = catalogue().values()
    rows = [
        f"| [{rule.id}](#{rule.id.lower()}) | {rule.severity} | {rule.title} | {rule.basis} |"
        for rule in rules
    ]
    parts = [
        _INTRODUCTION,
        "| id | severity | what must hold | basis |\n|---|---|---|---|\n" + "\n".join(rows) + "\n",
        *(_section(rule) for rule in rules),
        f"{MARKER}\n{written}",
    ]
    return "\n".join(parts)


def _section(rule: Rule) -> str:
    scope = "" if rule.scope == "template" else " Checked by `impact`."
    parts = [
        f"## {rule.id}\n",
        f"{_sentence(rule.title)} ({rule.severity}, {rule.basis}).{scope} {rule.remedy}\n",
        f"Source, read {rule.checked}: <{rule.source}>\n",
    ]
    if rule.old is not None:
        parts.append(f"Before:\n\n```yaml\n{rule.old}```\n")
    parts.append(f"Breaks the rule:\n\n```yaml\n{rule.bad}```\n")
    parts.append(f"Keeps it:\n\n```diff\n{_difference(rule)}\n```\n")
    return "\n".join(parts)


def _difference(rule: Rule) -> str:
    """The lines that the good example changes; ``explain`` prints all of it."""
    lines = difflib.ndiff(rule.bad.splitlines(), rule.good.splitlines())
    return "\n".join(line for line in lines if line.startswith(("- ", "+ ")))


def _sentence(title: str) -> str:
    return f"{title[0].upper()}{title[1:]}"


def current() -> str:
    """The page as it should be, with what people wrote into the one that is there."""
    text = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    return page(text.partition(f"{MARKER}\n")[2])


def main() -> None:
    """Write the page, or with ``--check`` say whether it is fresh."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="exit with 1 if the page is outdated")
    arguments = parser.parse_args()
    fresh = current()
    if not arguments.check:
        PAGE.write_text(fresh, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != fresh:
        sys.exit(f"{PAGE.name} is outdated: python -m tools.generate_rule_docs")


if __name__ == "__main__":
    main()
