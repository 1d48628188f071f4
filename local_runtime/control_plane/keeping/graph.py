"""Objects as bytes, and back: pickles that hold records alone.

What is written is what the process knows: moto's models and this runtime's own records. What is
read may name nothing else, so that a file which somebody has tampered with can make no other
object, and call no function that is not listed here.
"""

from __future__ import annotations

import copyreg
import importlib
import io
import pickle
import re
import threading
import types
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from moto.core.base_backend import AccountSpecificBackend, BackendDict, BaseBackend
from moto.iam.models import AWSManagedPolicy, iam_backends
from moto.s3.models import FakeKey, MultipartDict
from moto.s3.utils import _VersionedKeyStore
from moto.sns.models import Topic
from moto.sqs.models import Queue

Reduced = tuple[Any, ...]

_OURS: Final = ("local_runtime.", "hosting.")
_PACKAGES: Final = ("moto.", *_OURS)
_MODULES: Final = frozenset({"collections", "datetime", "decimal", "ipaddress", "uuid", "zoneinfo"})
_NAMES: Final = frozenset(
    {
        *(
            ("builtins", name)
            for name in (
                *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int"),
                *("list", "object", "range", "set", "slice", "str", "tuple"),
            )
        ),
        ("copyreg", "__newobj__"),
        ("copyreg", "__newobj_ex__"),
        ("copyreg", "_reconstructor"),
        ("itertools", "count"),
        ("requests.structures", "CaseInsensitiveDict"),
        ("urllib.parse", "ParseResult"),
        ("werkzeug.datastructures.headers", "Headers"),
    }
)
_PRIVATE_KEYS: Final = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)


class NotKeepableError(Exception):
    """An object that cannot be written."""


class NotReadableError(Exception):
    """What was written does not fit this version, or names what it may not."""


def dump(record: Any, *, home: str | None = None, shapes: dict[str, list[str]]) -> bytes:
    """Write an object with all that it holds.

    Args:
        record: the object.
        home: the service of moto's that it is of; objects of other services are referred to where
            they are found in those, and copied where not.
        shapes: gets the fields of every class of ours that was written.

    Raises:
        NotKeepableError: it holds something that cannot be written.
    """
    file = io.BytesIO()
    pickler = _Pickler(file, home, shapes)
    try:
        pickler.dump(record)
    except (pickle.PickleError, TypeError, AttributeError, RecursionError) as fault:
        raise NotKeepableError(str(fault)) from fault
    return file.getvalue()


def load(document: bytes) -> Any:
    """Read what ``dump`` has written.

    Raises:
        NotReadableError: it names what is not there, or may not be named.
    """
    try:
        return _Unpickler(io.BytesIO(document)).load()
    except (pickle.PickleError, AttributeError, ImportError, EOFError, IndexError) as fault:
        raise NotReadableError(str(fault)) from fault
    except (TypeError, KeyError, ValueError) as fault:
        raise NotReadableError(f"{type(fault).__name__}: {fault}") from fault


def shape_now(name: str) -> list[str] | None:
    """The fields that a class of ours has in this version; None when there is no such class."""
    module, _, qualified = name.partition(":")
    try:
        found = _resolve(module, qualified)
    except (ImportError, AttributeError):
        return None
    return [field.name for field in fields(found)] if is_dataclass(found) else None


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, home: str | None, shapes: dict[str, list[str]]) -> None:
        super().__init__(file, protocol=5)
        self._home = home
        self._shapes = shapes

    def reducer_override(self, record: Any) -> Any:
        kind = type(record)
        if kind is type or issubclass(kind, type):
            _check_name(record.__module__, record.__qualname__)
            return NotImplemented
        reducer = _reducer(kind)
        if reducer is not None:
            return reducer(record)
        if kind.__module__.startswith("moto."):
            package = _package(kind)
            if self._home != package and package not in {"core", "moto_api", "utilities"}:
                return self._elsewhere(record, package)
        elif kind.__module__.startswith(_OURS) and is_dataclass(kind):
            name = f"{kind.__module__}:{kind.__qualname__}"
            if name not in self._shapes:
                self._shapes[name] = [field.name for field in fields(kind)]
        return NotImplemented

    @staticmethod
    def _elsewhere(record: Any, package: str) -> Any:
        place = _find(record, package)
        return NotImplemented if place is None else (object_at, place)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == __name__:
            if name not in _READERS:
                raise pickle.UnpicklingError(f"{module}.{name} may not be named")
            return _READERS[name]
        _check_name(module, name)
        found = _resolve(module, name)
        if module.startswith(_PACKAGES) and not (
            isinstance(found, type) and str(found.__module__).startswith(_PACKAGES)
        ):
            raise pickle.UnpicklingError(f"{module}.{name} is not a class of records")
        return found


def _check_name(module: str, name: str) -> None:
    if module == __name__ and name in _READERS:
        return
    if module.startswith(_PACKAGES) or module in _MODULES or (module, name) in _NAMES:
        return
    raise pickle.PicklingError(f"objects of {module}.{name} are not kept")


def _resolve(module: str, qualified: str) -> Any:
    found: Any = importlib.import_module(module)
    for name in qualified.split("."):
        found = getattr(found, name)
    return found


def _package(kind: type) -> str:
    return kind.__module__.split(".")[1]


# -- objects that do not pickle by themselves, or must not

_known: dict[type, Callable[[Any], Any] | None] = {}


def _reducer(kind: type) -> Callable[[Any], Any] | None:
    if kind not in _known:
        _known[kind] = next((how for base, how in _REDUCERS if issubclass(kind, base)), None)
    return _known[kind]


def _backend(backend: BaseBackend) -> Reduced:
    kind = type(backend)
    return backend_at, (kind.__module__, kind.__name__, backend.account_id, backend.region_name)


def backend_at(module: str, name: str, account_id: str, region: str) -> BaseBackend:
    """A service of moto's in a region."""
    backend: BaseBackend = backends_of(module, name)[account_id][region]
    return backend


def backends_of(module: str, name: str) -> BackendDict[Any]:
    """All regions of a service of moto's, by its class."""
    if not module.startswith("moto."):
        raise pickle.UnpicklingError(f"{module} is no module of moto's")
    found = importlib.import_module(module)
    kind = getattr(found, name)
    for value in vars(found).values():
        if isinstance(value, BackendDict) and value.backend is kind:
            return value
    raise pickle.UnpicklingError(f"moto has no service {module}.{name}")


def services_in_use() -> list[BackendDict[Any]]:
    """Every service of moto's that has been asked for something."""
    return list(vars(BackendDict)["_instances"])


def _refuse_registry(registry: Any) -> Reduced:
    raise pickle.PicklingError(f"a registry of services is not kept: {registry.service_name}")


def _find(record: Any, package: str) -> tuple[Any, ...] | None:
    """Where a service of moto's holds an object: the dictionary, and the keys to it."""
    for backends in services_in_use():
        if _package(vars(backends)["backend"]) != package:
            continue
        for account_id, regions in dict.items(backends):
            for region, backend in dict.items(regions):
                for attribute, held in vars(backend).items():
                    keys = _keys(record, held)
                    if keys is not None:
                        kind = type(backend)
                        place = (kind.__module__, kind.__name__, account_id, region)
                        return (*place, attribute, keys)
    return None


def _keys(record: Any, held: Any) -> tuple[Any, ...] | None:
    if not isinstance(held, dict):
        return None
    for key, value in held.items():
        if value is record:
            return (key,)
        if isinstance(value, dict):
            for inner_key, inner in value.items():
                if inner is record:
                    return (key, inner_key)
    return None


def object_at(  # noqa: PLR0917 - read from a pickle
    module: str, name: str, account_id: str, region: str, attribute: str, keys: tuple[Any, ...]
) -> Any:
    """What a service of moto's holds in a place; None where that is gone."""
    held = vars(backend_at(module, name, account_id, region)).get(attribute, {})
    for key in keys:
        held = held.get(key)
        if held is None:
            return None
    return held


def _managed_policy(policy: AWSManagedPolicy) -> Reduced:
    return managed_policy, (policy.account_id, policy.partition, policy.arn)


def managed_policy(account_id: str, partition: str, arn: str) -> Any:
    """A policy that AWS manages, which moto brings along."""
    return iam_backends[account_id][partition].managed_policies[arn]


def _nothing_inside(container: Any) -> Reduced:
    return type(container), ()


def _function(function: types.FunctionType) -> Any:
    """A function of moto's; one without a name of its own by where its code stands."""
    module, name = function.__module__, function.__qualname__
    if _READERS.get(name) is function:
        return NotImplemented
    if not module.startswith("moto."):
        raise pickle.PicklingError(f"function {module}.{name} is not kept")
    cells = function.__closure__
    contents = () if cells is None else tuple(cell.cell_contents for cell in cells)
    place = tuple(_way_to(function))
    return (
        function_at,
        (module, name.split(".<locals>")[0], place, function.__defaults__, len(contents)),
        contents,
        None,
        None,
        fill_cells,
    )


def _way_to(function: types.FunctionType) -> Iterator[int]:
    outer = _resolve(function.__module__, function.__qualname__.split(".<locals>")[0])
    code = outer.__code__
    while code is not function.__code__:
        for position, constant in enumerate(code.co_consts):
            if isinstance(constant, types.CodeType) and _holds(constant, function.__code__):
                yield position
                code = constant
                break
        else:
            raise pickle.PicklingError(f"function {function.__qualname__} is not found")


def _holds(code: types.CodeType, wanted: types.CodeType) -> bool:
    return code is wanted or any(
        isinstance(constant, types.CodeType) and _holds(constant, wanted)
        for constant in code.co_consts
    )


def function_at(
    module: str, name: str, place: tuple[int, ...], defaults: tuple[Any, ...] | None, cells: int
) -> types.FunctionType:
    """A function of moto's by where its code stands, its cells still empty."""
    if not module.startswith("moto."):
        raise pickle.UnpicklingError(f"{module} is no module of moto's")
    outer = _resolve(module, name)
    code = outer.__code__
    for position in place:
        code = code.co_consts[position]
    closure = tuple(types.CellType() for _ in range(cells))
    return types.FunctionType(code, outer.__globals__, code.co_name, defaults, closure)


def fill_cells(function: types.FunctionType, contents: tuple[Any, ...]) -> None:
    """Give a function what it has closed over."""
    for cell, content in zip(function.__closure__ or (), contents, strict=True):
        cell.cell_contents = content


def _default_dict(held: defaultdict[Any, Any]) -> Any:
    """moto's own kinds of it ask for more arguments than pickle knows."""
    if type(held) is defaultdict:
        return NotImplemented
    state = (vars(held), held.default_factory, dict(dict.items(held)))
    return copyreg.__newobj__, (type(held),), state, None, None, set_default_dict  # type: ignore[attr-defined]


def set_default_dict(held: defaultdict[Any, Any], state: tuple[Any, ...]) -> None:
    """Fill one again."""
    attributes, held.default_factory, items = state
    vars(held).update(attributes)
    dict.update(held, items)


def _builtin(function: types.BuiltinFunctionType) -> Any:
    if (function.__module__, function.__name__) in _NAMES:
        return NotImplemented
    raise pickle.PicklingError(f"function {function.__qualname__} is not kept")


def _method(method: types.MethodType) -> Reduced:
    return method_of, (method.__self__, method.__name__)


def method_of(holder: Any, name: str) -> Any:
    """A method of one of moto's objects."""
    kind = holder if isinstance(holder, type) else type(holder)
    if not kind.__module__.startswith("moto."):
        raise pickle.UnpicklingError(f"{kind.__module__}.{kind.__name__} is not moto's")
    return getattr(holder, name)


def _pattern(pattern: re.Pattern[Any]) -> Reduced:
    return compiled, (pattern.pattern, pattern.flags)


def compiled(pattern: str | bytes, flags: int) -> re.Pattern[Any]:
    """A regular expression."""
    return re.compile(pattern, flags)


def _event(event: threading.Event) -> Reduced:
    return new_event, (event.is_set(),)


def new_event(is_set: bool) -> threading.Event:
    """An event, set or not."""
    event = threading.Event()
    if is_set:
        event.set()
    return event


def new_lock() -> Any:
    """A lock that nobody holds."""
    return threading.Lock()


def new_rlock() -> Any:
    """The same, for a thread that takes it twice."""
    return threading.RLock()


def new_condition() -> threading.Condition:
    """A condition that nobody waits for."""
    return threading.Condition()


def _without(**replaced: Callable[[], Any]) -> Callable[[Any], Reduced]:
    """An object, with something else in the place of what is kept elsewhere or not at all."""

    def reduced(record: Any) -> Reduced:
        state = {**vars(record), **{name: make() for name, make in replaced.items()}}
        return copyreg.__newobj__, (type(record),), state  # type: ignore[attr-defined]

    return reduced


def _private_key(key: Any) -> Reduced:
    document = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private_key, (document,)


def private_key(document: bytes) -> Any:
    """A private key from its DER form."""
    return serialization.load_der_private_key(document, password=None)


def _s3_object(key: FakeKey) -> Reduced:
    """An object without its content, which is kept beside it."""
    state = {
        name: value
        for name, value in key.__dict__.copy().items()
        if name not in {"_value_buffer", "lock"}
    }
    return copyreg.__newobj__, (FakeKey,), state, None, None, set_s3_object  # type: ignore[attr-defined]


def set_s3_object(key: FakeKey, state: dict[str, Any]) -> None:
    """Bring an object back without content; until it gets some it is closed."""
    key.__dict__.update(state)
    key.lock = threading.Lock()
    vars(key)["_value_buffer"] = io.BytesIO()


_REDUCERS: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (BaseBackend, _backend),
    (AccountSpecificBackend, _refuse_registry),
    (BackendDict, _refuse_registry),
    (AWSManagedPolicy, _managed_policy),
    (FakeKey, _s3_object),
    (_VersionedKeyStore, _nothing_inside),
    (MultipartDict, _nothing_inside),
    # Messages are records of their own.
    (Queue, _without(kept_messages=list, _pending_messages=set, deleted_messages=set)),
    # What moto remembers for those who test with it; it only ever grows.
    (Topic, _without(sent_notifications=list)),
    (types.FunctionType, _function),
    (types.BuiltinFunctionType, _builtin),
    (types.MethodType, _method),
    (defaultdict, _default_dict),
    (re.Pattern, _pattern),
    (threading.Event, _event),
    (threading.Condition, lambda _: (new_condition, ())),
    (type(threading.Lock()), lambda _: (new_lock, ())),
    (type(threading.RLock()), lambda _: (new_rlock, ())),
    *((kind, _private_key) for kind in _PRIVATE_KEYS),
)
_READERS: Final[dict[str, Callable[..., Any]]] = {
    reader.__name__: reader
    for reader in (
        backend_at,
        object_at,
        managed_policy,
        function_at,
        fill_cells,
        set_default_dict,
        method_of,
        compiled,
        new_event,
        new_lock,
        new_rlock,
        new_condition,
        private_key,
        set_s3_object,
    )
}
