"""docs/results.md from the results.json of the experiments: no number in it is typed by hand."""

import json
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).parent
TARGET = HERE.parent / "docs" / "results.md"


def signed(value: float | None, digits: int = 1) -> str:
    """A number with its sign, nothing where there is none."""
    return "" if value is None or value != value else f"{value:+.{digits}f}"


def main() -> None:
    found = {path.parent.name: json.loads(path.read_text()) for path in HERE.glob("*/results.json")}
    environment = Environment(
        loader=FileSystemLoader(HERE),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["signed"] = signed
    TARGET.write_text(environment.get_template("results.md.jinja").render(results=found))
    print(TARGET)


if __name__ == "__main__":
    main()
