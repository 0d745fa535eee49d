"""The documentation builds without a warning and opens without a network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent.parent
WRITTEN = ("docs", "experiments", "vcm")
ELSEWHERE = re.compile(r"""<(?:script|img|link|iframe)[^>]*?(?:src|href)=["'](?:https?:)?//""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    for module in ("material", "mkdocstrings", "mkdocs_click"):
        pytest.importorskip(module, reason="needs: pip install 'vcm[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    command += ["-f", str(REPOSITORY / "docs" / "mkdocs.yml"), "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def page(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path",
    [*REPOSITORY.glob("*.md"), *(p for f in WRITTEN for p in (REPOSITORY / f).rglob("*.md"))],
    ids=lambda path: path.relative_to(REPOSITORY).as_posix(),
)
def test_links_hold_in_the_repository(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
    for link in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", text):
        assert (path.parent / link).exists(), link


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    for path in pages:
        assert not ELSEWHERE.search(path.read_text(encoding="utf-8")), path


def test_all_commands_with_all_options_are_in_the_reference(site: Path) -> None:
    from vcm.cli import cli

    text = page(site, "reference/cli.html")
    for name, command in cli.commands.items():
        assert f'id="vcm-{name}"' in text
        for option in (o for p in command.params for o in p.opts if o.startswith("-")):
            assert option in text, f"{name} {option}"
    assert "\b" not in text


def test_all_public_names_are_in_the_reference(site: Path) -> None:
    import vcm

    text = page(site, "reference/api.html")
    for name in vcm.__all__:
        assert re.search(rf'id="vcm\.(\w+\.)*{name}"', text), name


def test_the_results_are_on_the_site(site: Path) -> None:
    text = page(site, "docs/results.html")
    titles = re.findall(r"^## (.*)$", (REPOSITORY / "docs" / "results.md").read_text(), re.M)
    assert titles
    for title in titles:
        assert title in text
    for picture in re.findall(r'<img[^>]* src="([^"]+)"', text):
        assert (site / "docs" / picture).resolve().is_file(), picture


def test_the_results_are_the_generated_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jinja2", reason="needs: pip install 'vcm[eval]'")
    monkeypatch.syspath_prepend(REPOSITORY / "experiments")
    import report

    written: dict[Path, str] = {}
    monkeypatch.setattr(Path, "write_text", lambda path, text: written.update({path: text}))
    report.main()
    assert written == {report.TARGET: report.TARGET.read_text()}
