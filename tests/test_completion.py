"""Shell completion: scripts for three shells, and names without loading torch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete

from vcm.cli import cli, main
from vcm.commands import completion
from vcm.task import task_names


def completed(words: list[str], begun: str) -> list[tuple[str, str]]:
    """(type, value) of what is offered after some words."""
    offered = ShellComplete(cli, {}, "vcm", "_VCM_COMPLETE").get_completions(words, begun)
    return [(item.type, item.value) for item in offered]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_a_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["completion", shell])
    assert end.value.code == 0
    assert f"_VCM_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["completion", "dos"])
    assert end.value.code == 2
    assert "bash" in capsys.readouterr().err


def test_names_are_offered() -> None:
    assert ("plain", "doctor") in completed([], "do")
    for command in ("encode", "roi", "eval"):
        assert completed([command, "--task"], "coco-p") == [("plain", "coco-person")]
    assert [v for _, v in completed(["encode", "--task"], "")] == task_names()
    assert completed(["decode", "--weights"], "ba") == [("plain", "base")]
    assert completed(["encode", "--weights"], "./mine") == [("file", "./mine")]
    assert completed(["encode", "--task"], "./mine") == [("file", "./mine")]
    assert completed(["eval", "--codecs"], "vcm,avi") == [("plain", "vcm,avif")]


def test_the_codecs_are_those_of_eval() -> None:
    from vcm.errors import SpecError
    from vcm.evaluate.codecs import parse

    with pytest.raises(SpecError) as error:
        parse("nothing")
    known = str(error.value).partition("one of ")[2].split(", ")
    assert sorted(completion.CODECS) == sorted(known)


def test_completing_loads_no_torch() -> None:
    words = {
        "_VCM_COMPLETE": "bash_complete",
        "COMP_WORDS": "vcm encode --task voc",
        "COMP_CWORD": "3",
    }
    command = [sys.executable, "-X", "importtime", "-m", "vcm"]
    done = subprocess.run(command, env=os.environ | words, capture_output=True, text=True)
    assert "plain,voc-seg" in done.stdout.splitlines()
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "vcm.task" in loaded and loaded.isdisjoint({"torch", "numpy", "PIL"})


BASH = """
set -e
export PATH={bin}:$PATH
eval "$(vcm completion bash)"
complete -p vcm
COMP_WORDS=(vcm encode --task coco-v) COMP_CWORD=3
_vcm_completion vcm coco-v --task
echo "${{COMPREPLY[@]}}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes() -> None:
    script = BASH.format(bin=Path(sys.executable).parent)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "coco-vehicles"
