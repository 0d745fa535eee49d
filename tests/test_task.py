"""Task files: every built-in one loads, and a wrong one says what is wrong."""

import dataclasses
from pathlib import Path

import pytest

from vcm.errors import SpecError
from vcm.task import FOLDER, TaskSpec, find_task, task_names

REPOSITORY = Path(__file__).resolve().parent.parent
MINIMAL = 'name = "mine"\nversion = 1\ndescription = "d"\nphrases = ["cat"]\n'


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(MINIMAL)
    return path


def test_the_issue_s_tasks_are_there() -> None:
    required = {"coco-person", "coco-vehicles", "coco-animals", "coco-all", "voc-seg", "traffic"}
    assert required <= set(task_names())


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.toml")))
def test_built_in_tasks_load_by_name_and_by_path(name: str) -> None:
    task = find_task(name)
    assert task.name == name
    assert task == find_task(REPOSITORY / "tasks" / f"{name}.toml")
    known = {*find_task("coco-all").phrases, "vehicle"}
    assert {*task.phrases, *task.exclude, *task.classes} <= known


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.toml")))
def test_the_table_in_the_readme_says_what_the_files_say(name: str) -> None:
    task = find_task(name)
    assert task.expected is not None
    row = (
        f"| [{name}]({name}.toml) | {task.description} | {task.metric} {task.expected.score} ± "
        f"{task.expected.tolerance}: {task.weights} on {task.data} |"
    )
    assert row in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_key() -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for field in dataclasses.fields(TaskSpec):
        assert f"| `{field.name}` |" in readme or f"| `[{field.name}]` |" in readme


def test_traffic_reads_back_as_text() -> None:
    task = find_task("traffic")
    assert task.text == ("person, vehicle, traffic light, stop sign, -train, -airplane, -boat")


def test_defaults(minimal: Path) -> None:
    task = find_task(minimal)
    assert (task.tau, task.sigma, task.dilation, task.exclude) == (None, 0.1, 0, ())
    assert (task.model, task.metric, task.expected) == (None, None, None)


def test_a_relative_path_without_a_folder_is_a_path(
    minimal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(minimal.parent)
    assert find_task("mine.toml") == find_task(minimal)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("coco-persn", "did you mean coco-person"),
        ("zzz", "did you mean coco-all, coco-animals, coco-person"),
        ("", "there is no task ''"),
        ("none.toml", "none.toml: cannot be read as TOML .No such file"),
        ("../tasks/coco-person", "cannot be read as TOML"),
        ("a\0b", "there is no task"),
    ],
)
def test_an_unknown_task_names_the_near_ones(name: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        find_task(name)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sigm = 0.1", "unknown key 'sigm'; did you mean 'sigma'"),
        ("sigma = 0", "sigma: expected over 0, at most 1, got 0.0"),
        ("sigma = 1.5", "sigma: expected over 0, at most 1"),
        ("tau = 1.0", "tau: expected over 0, under 1"),
        ("dilation = -1", "dilation: expected 0 to 1024"),
        ("dilation = 2.0", "dilation: expected int, got float 2.0"),
        ('metric = "mAP"', "metric: expected one of 'AP', 'AP50', 'mask_AP', 'mIoU', got 'mAP'"),
        ('exclude = ["cat"]', r"exclude: expected other words than phrases, got \['cat'\]"),
        ('exclude = ["dog", "dog"]', r"exclude: expected each word once, got \['dog'\]"),
        ('exclude = [""]', "exclude: expected words"),
        ('exclude = ["-dog"]', "exclude: expected words"),
        ('exclude = ["dog, bird"]', "exclude: expected words"),
        ('exclude = ["dog\\u0007"]', "exclude: expected words without control characters"),
        (f"exclude = {[f'w{i}' for i in range(128)]}", "phrases: expected at most 128 with"),
        ("[expected]\nscore = 50\ntolerance = 0.5", "model: expected a value"),
        ("[expected]\nscore = 50", "expected: key 'tolerance' is missing"),
        ("[expected]\nscore = 101\ntolerance = 1", "expected: score: expected 0 to 100"),
    ],
)
def test_a_wrong_value_is_named_with_its_file(minimal: Path, line: str, message: str) -> None:
    minimal.write_text(MINIMAL + line)
    with pytest.raises(SpecError, match=message) as caught:
        find_task(minimal)
    assert str(caught.value).startswith(f"{minimal}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "Coco", "coco--a", "coco person", "coco_a", "köln"])
def test_names_are_plain(minimal: Path, name: str) -> None:
    minimal.write_text(MINIMAL.replace('"mine"', f'"{name}"'))
    with pytest.raises(SpecError, match="name: expected words like coco-person"):
        find_task(minimal)


def test_a_task_without_phrases_is_refused(minimal: Path) -> None:
    minimal.write_text(MINIMAL.replace('["cat"]', "[]"))
    with pytest.raises(SpecError, match="phrases: expected at least one"):
        find_task(minimal)


def test_words_of_every_script_are_words() -> None:
    words = ("می\u200cز", "क्\u200dष", "👩\u200d🚒")  # with joiners, which do not print
    assert TaskSpec("any", 1, "", words).phrases == words
