"""docs/results.md: tables from the results.json of the experiments, answers from their READMEs."""

import json
import re
from os.path import normpath, relpath
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).parent
TARGET = HERE.parent / "docs" / "results.md"


def signed(value: float | None, digits: int = 1) -> str:
    """A number with its sign, nothing where there is none."""
    return "" if value is None or value != value else f"{value:+.{digits}f}"


def answer(name: str) -> str:
    """What the README of an experiment says under "Answer", its links as seen from docs/."""
    folder = HERE / name
    text = (folder / "README.md").read_text().partition("\n## Answer")[2].partition("\n## ")[0]
    body = text.partition("\n")[2].strip()  # without the rest of the heading
    body = re.sub(r"!\[[^]]*\]\([^)]+\)\s*", "", body)  # plots have their place in the template
    return re.sub(
        r"(?<=\]\()(?!https?:|#)[^)]+",
        lambda link: relpath(normpath(folder / link[0]), TARGET.parent),
        body,
    )


def main() -> None:
    found = {path.parent.name: json.loads(path.read_text()) for path in HERE.glob("*/results.json")}
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"signed": signed, "answer": answer}
    TARGET.write_text(environment.get_template("results.md.jinja").render(results=found))
    print(TARGET)


if __name__ == "__main__":
    main()
