"""Pages that are generated are fresh."""

from __future__ import annotations

from tools import argument_table


def test_argument_table_is_fresh() -> None:
    assert argument_table.PAGE.read_text() == argument_table.page(), (
        "run `python -m tools.argument_table`"
    )
