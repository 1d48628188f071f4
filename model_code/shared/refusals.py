"""Refusals in AWS's scikit-learn and XGBoost containers, one model each.

Those answer every exception of a handler with 500 and without its text. A caller learns what was
wrong with a request only from a ``worker.Response`` that the handler returns, and a response that
``input_fn`` returns still travels through ``predict_fn`` and ``output_fn``.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, TypeVar

from exchange import JSON, Refused
from sagemaker_containers.beta.framework import worker

if TYPE_CHECKING:
    from collections.abc import Callable

_First = TypeVar("_First")
_Second = TypeVar("_Second")
_Result = TypeVar("_Result")


def answers_refusals(
    function: Callable[[_First, _Second], _Result],
) -> Callable[[_First | worker.Response, _Second], _Result | worker.Response]:
    """Answer ``Refused`` with its status and ``{"error": message}``; pass earlier answers on.

    Fits ``input_fn``, ``predict_fn`` and ``output_fn`` alike: each takes what the one before it
    returned, and one thing more.
    """

    @functools.wraps(function)
    def answer(first: _First | worker.Response, second: _Second) -> _Result | worker.Response:
        if isinstance(first, worker.Response):
            return first
        try:
            return function(first, second)
        except Refused as refused:
            body = json.dumps({"error": str(refused)})
            return worker.Response(response=body, status=refused.status, mimetype=JSON)

    return answer
