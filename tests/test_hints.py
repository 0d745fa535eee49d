"""Errors of the library name no option; the command line says which of its own helps."""

import ast
import pickle
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from vcm import image
from vcm.cli import cli
from vcm.commands.hints import HINTS, helped
from vcm.errors import SpecError, UnknownWord
from vcm.roi.vocabulary import vocabulary

PACKAGE = Path(__file__).parent.parent / "vcm"
OPTION = re.compile(r"--[a-z][a-z-]+")
OPTIONS = {
    name: {option for p in command.params for option in p.opts}
    for name, command in cli.commands.items()
}
FRONT = {"cli.py", "commands", "edge", "web"}  # what people see: it may name options
PATHS = [path for path in sorted(PACKAGE.rglob("*.py"))]
LIBRARY = [path for path in PATHS if path.relative_to(PACKAGE).parts[0] not in FRONT]


def strings(node: ast.AST) -> list[str]:
    """All texts in a piece of code but docstrings, which are statements of their own."""
    documents = {id(n.value) for n in ast.walk(node) if isinstance(n, ast.Expr)}
    return [
        n.value
        for n in ast.walk(node)
        if isinstance(n, ast.Constant) and type(n.value) is str and id(n) not in documents
    ]


def test_no_text_of_the_library_names_an_option() -> None:
    known = set.union(*OPTIONS.values())
    for path in LIBRARY:
        named = {o for t in strings(ast.parse(path.read_text())) for o in OPTION.findall(t)}
        assert not named & known, path


def test_every_hint_is_given_and_every_one_that_is_given_is_known() -> None:
    trees = [ast.parse(path.read_text()) for path in PATHS]
    given = {
        node.value.value
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword)
        and node.arg == "hint"
        and isinstance(node.value, ast.Constant)
    }
    said = {text for tree in trees for text in strings(tree)}
    assert given - {""} <= HINTS.keys() <= said
    known = set.union(*OPTIONS.values())
    assert {o for ways in HINTS.values() for way in ways for o in OPTION.findall(way)} <= known


def test_a_command_names_what_it_has() -> None:
    with pytest.raises(UnknownWord) as caught:
        vocabulary().cover("zeppelin")
    error = caught.value
    assert helped(error) == str(error)  # no command runs
    for name, way in (("encode", "--roi-backend clipseg"), ("eval", "--roi clipseg")):
        with click.Context(cli.commands[name]):
            assert helped(error) == f"{error}; for any words use {way}"
    with click.Context(cli.commands["info"]):
        assert helped(error) == str(error)
    with click.Context(cli.commands["eval"]):
        assert helped(SpecError("nothing", hint="empty")) == "nothing; set another --on-empty"


def test_a_hint_comes_home_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(SpecError("nothing", hint="empty")))
    assert (str(error), error.hint) == ("nothing", "empty")
    assert SpecError("nothing").hint == ""


def test_it_is_said_of_one_picture_and_of_many(
    cat: object, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    image.write(Path("photos/cat.png"), cat)  # type: ignore[arg-type]
    line = ["--text", "airplane", "--on-empty", "error", "--weights", str(tiny_weights), "-o"]
    told = "found nothing that matches 'airplane'.*; lower --tau or set another --on-empty"
    one = CliRunner().invoke(cli, ["encode", "photos/cat.png", *line, "a.vcm"])
    many = CliRunner().invoke(cli, ["encode", "photos", *line, "out"])
    assert one.exit_code == many.exit_code == 2
    assert re.search(told, one.stderr) and re.search(told, many.stdout)
