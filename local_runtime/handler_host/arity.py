"""How many arguments a handler function takes, which decides whether it gets the context."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CO_VARARGS, _CO_VARKEYWORDS = 0x04, 0x08  # of the inspect module, whose import takes 10 ms


def parameter_count(function: Callable[..., Any]) -> int:
    """The number of parameters as ``inspect.signature`` counts them.

    Those with defaults count, and ``*args`` is one.
    """
    plain = type(function) is type(parameter_count)
    if plain and not hasattr(function, "__wrapped__") and not hasattr(function, "__signature__"):
        code = function.__code__
        variable = bool(code.co_flags & _CO_VARARGS) + bool(code.co_flags & _CO_VARKEYWORDS)
        return code.co_argcount + code.co_kwonlyargcount + variable
    import inspect  # noqa: PLC0415

    return len(inspect.signature(function).parameters)


def function_name(function: Callable[..., Any]) -> str:
    """The name of a function, or a description of another callable."""
    return str(getattr(function, "__name__", repr(function)))
