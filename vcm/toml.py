"""TOML files to frozen dataclasses: every key known, every type right, or a SpecError."""

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from vcm.errors import SpecError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def load(path: str | Path, cls: type[T], changes: Sequence[str] = ()) -> T:
    """The dataclass `cls` filled from a TOML file.

    Args:
        changes: "table.key=value" each, the value as in TOML, that win over the file.

    Raises:
        SpecError: the file is missing or not TOML, or its contents do not fit: see `build`.
    """
    data = parse(path)
    for change in changes:
        _change(data, change)
    return build(cls, data, " ".join([str(path), *changes]))


def _change(data: dict[str, Any], change: str) -> None:
    """Set one value of parsed TOML; what is not TOML is taken as a string."""
    key, equals, text = change.partition("=")
    *tables, name = key.strip().split(".")
    if not equals or not name:
        raise SpecError(f"expected table.key=value, got {change!r}")
    for table in tables:
        data = data.setdefault(table, {})
        if not isinstance(data, dict):
            raise SpecError(f"{change!r}: {table} is a value, not a table")
    try:
        data[name] = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        data[name] = text.strip()


def parse(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file, unchecked.

    Raises:
        SpecError: the file is missing, unreadable or not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        # ValueError: TOMLDecodeError, UnicodeDecodeError and a NUL character in the path
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise SpecError(f"{path}: cannot be read as TOML ({reason})") from error


def build(cls: type[T], data: Mapping[str, Any], where: str) -> T:
    """The dataclass `cls` filled from parsed TOML; fields with a default may be left out.

    Field types may be bool, int, float (an integer will do), str, Path, a Literal of them,
    `X | None`, `tuple[X, ...]`, `tuple[X, Y]`, `dict[str, X]` and dataclasses of the same.

    Args:
        where: what messages name: the file, and for nested tables the key.

    Raises:
        SpecError: an unknown key (with the nearest known one), a missing key, a value of another
            type, or a value that the dataclass itself refuses.
    """
    hints = typing.get_type_hints(cls)
    known = [field for field in dataclasses.fields(cls) if field.init]
    names = [field.name for field in known]
    for key in data:
        if key not in names:
            near = difflib.get_close_matches(key, names, 1, 0.0)
            raise SpecError(
                f"{where}: unknown key {key!r}; did you mean {near[0] if near else 'none'!r}?"
                f" Known: {', '.join(names)}"
            )
    values = {key: _convert(hints[key], value, f"{where}: {key}") for key, value in data.items()}
    for field in known:
        if (
            field.name not in values
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        ):
            raise SpecError(f"{where}: key {field.name!r} is missing")
    try:
        return cls(**values)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as the type `hint`, or a SpecError."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert(_without_none(args), value, where)
    if origin is typing.Literal:
        # True == 1, so the type is compared as well
        if not any(value == choice and type(value) is type(choice) for choice in args):
            raise SpecError(f"{where}: expected one of {_list(args)}, got {value!r}")
        return value
    if origin is tuple:
        return _tuple(args, value, where)
    if origin is dict and isinstance(value, dict):
        return {key: _convert(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return build(typing.cast("type[DataclassInstance]", hint), value, where)
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and type(value) is int and abs(value) < 2**1000:  # larger ones are none
        value = float(value)
    if hint is Path and type(value) is str:
        return Path(value)
    if type(value) is not hint:  # not isinstance: a bool is an int
        table = dataclasses.is_dataclass(hint) or typing.get_origin(hint) is dict
        name = "a table" if table else hint.__name__
        raise SpecError(f"{where}: expected {name}, got {type(value).__name__} {value!r}")
    if hint is float and not math.isfinite(value):
        raise SpecError(f"{where}: expected a finite number, got {value!r}")
    return value


def _tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise SpecError(f"{where}: expected a list, got {type(value).__name__} {value!r}")
    hints = [args[0]] * len(value) if args[1:] == (...,) else list(args)
    if len(hints) != len(value):
        raise SpecError(f"{where}: expected {len(hints)} items, got {len(value)}")
    pairs = enumerate(zip(hints, value, strict=True))
    return tuple(_convert(hint, item, f"{where}[{index}]") for index, (hint, item) in pairs)


def _without_none(args: tuple[Any, ...]) -> Any:
    """The X of `X | None`: TOML has no null, so None is only ever a default."""
    (hint,) = [arg for arg in args if arg is not type(None)]
    return hint


def _list(values: tuple[Any, ...]) -> str:
    return ", ".join(repr(value) for value in values)
