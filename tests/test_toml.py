"""TOML to dataclasses: the right values with the right types, or a message that helps."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcm import toml
from vcm.errors import SpecError


@dataclass(frozen=True)
class Inner:
    rate: float
    steps: int = 10

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise SpecError(f"rate: expected over 0, got {self.rate}")


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner | None = None
    flag: bool = False
    kind: Literal["a", "b", 1] = "a"
    words: tuple[str, ...] = ()
    pair: tuple[int, float] = (0, 0.0)
    folder: Path = Path()
    table: dict[str, float] | None = None


FULL = """
name = "n"
flag = true
kind = 1
words = ["x", "y"]
pair = [3, 4]
folder = "a/b"
[inner]
rate = 2
[table]
one = 1
two = 2.5
"""


def test_every_type_arrives_as_declared(tmp_path: Path) -> None:
    path = tmp_path / "full.toml"
    path.write_text(FULL)
    found = toml.load(path, Outer)
    assert found == Outer(
        "n", Inner(2.0), True, 1, ("x", "y"), (3, 4.0), Path("a/b"), {"one": 1.0, "two": 2.5}
    )
    assert found.inner is not None
    assert isinstance(found.inner.rate, float)
    assert isinstance(found.pair[1], float)


def test_defaults_fill_in() -> None:
    assert toml.build(Outer, {"name": "n"}, "x") == Outer("n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "f: key 'name' is missing"),
        ({"name": 3}, "f: name: expected str, got int 3"),
        ({"name": "n", "nmae": 1}, "f: unknown key 'nmae'; did you mean 'name'?"),
        ({"name": "n", "inner": {"rte": 1}}, "f: inner: unknown key 'rte'; did you mean 'rate'?"),
        ({"name": "n", "inner": {"rate": 0}}, "f: inner: rate: expected over 0, got 0.0"),
        ({"name": "n", "inner": {"rate": True}}, "f: inner: rate: expected float, got bool True"),
        ({"name": "n", "inner": {"rate": 1, "steps": 1.0}}, "steps: expected int, got float"),
        ({"name": "n", "inner": {"rate": float("nan")}}, "rate: expected a finite number"),
        ({"name": "n", "inner": 3}, "f: inner: expected a table, got int 3"),
        ({"name": "n", "flag": 1}, "f: flag: expected bool, got int 1"),
        ({"name": "n", "kind": "c"}, "f: kind: expected one of 'a', 'b', 1, got 'c'"),
        ({"name": "n", "kind": True}, "f: kind: expected one of 'a', 'b', 1, got True"),
        ({"name": "n", "words": "x"}, "f: words: expected a list, got str 'x'"),
        ({"name": "n", "words": ["x", 1]}, "f: words[1]: expected str, got int 1"),
        ({"name": "n", "pair": [1]}, "f: pair: expected 2 items, got 1"),
        ({"name": "n", "folder": 1}, "f: folder: expected Path, got int 1"),
        ({"name": "n", "table": [1]}, "f: table: expected a table, got list [1]"),
        ({"name": "n", "table": {"one": "1"}}, "f: table.one: expected float, got str '1'"),
    ],
)
def test_what_does_not_fit_is_named(data: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        toml.build(Outer, data, "f")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"name = ", b"a = 1\na = 2", b"\xff\xfe", b"a = " + b"[" * 10_000, b"a = 0x", b"\0"],
)
def test_what_is_not_toml_is_a_spec_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError, match="bad.toml: cannot be read as TOML") as caught:
        toml.load(path, Outer)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["none.toml", ".", "a\0b"])
def test_what_cannot_be_opened_is_a_spec_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(SpecError, match="cannot be read as TOML"):
        toml.load(tmp_path / name, Outer)


values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
keys = st.sampled_from(["name", "inner", "flag", "kind", "words", "pair", "folder", "table", "z"])


@given(st.dictionaries(keys, values))
def test_any_data_give_the_dataclass_or_a_spec_error(data: dict[str, object]) -> None:
    try:
        found = toml.build(Outer, data, "f")
    except SpecError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(found.name, str)
        assert isinstance(found.words, tuple)


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(FULL, encoding="utf-8-sig")
    (tmp_path / "b.toml").write_text(FULL, encoding="utf-8")
    assert toml.load(path, Outer) == toml.load(tmp_path / "b.toml", Outer)


def test_numbers_that_no_float_can_hold_are_refused() -> None:
    with pytest.raises(SpecError, match="rate: expected float, got int 1000"):
        toml.build(Inner, {"rate": 10**400}, "x")
