"""BD-rates on AP of the tuned encoders against each classical codec, from results.json.

python experiments/05_task_loss/against.py "all, YOLO11n"
"""

import argparse
import json
from pathlib import Path
from typing import Any

from vcm.bd import bd_rate
from vcm.errors import VcmError
from vcm.rd import RDCurve, RDPoint

HERE = Path(__file__).parent
PIXELS = 10**6  # a number for bits per pixel to be of


def curve(codec: dict[str, Any], metric: str) -> RDCurve:
    """One of the study's curves."""
    points = [
        RDPoint(round(PIXELS * p["bpp"]["value"]), PIXELS, p["scores"][metric]["value"])
        for p in codec["points"]
    ]
    return RDCurve(codec["name"], metric, tuple(points))


def compared(reference: RDCurve, own: RDCurve) -> str:
    """The BD-rate, if there is one."""
    try:
        return f"{bd_rate(reference, own):+.0f} %"
    except VcmError:
        return "none"


def main() -> None:
    study = json.loads((HERE / "results.json").read_text())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=list(study), metavar="NAME", help=", ".join(study))
    row = study[parser.parse_args().name]
    curves = [curve(codec, row["metric"]) for codec in row["codecs"]]
    ours = [c for c in curves if c.label.startswith("vcm")]
    for reference in curves:
        if reference not in ours:
            print(f"against {reference.label}")
            for own in ours:
                print(f"    {own.label:40} {compared(reference, own)}")


if __name__ == "__main__":
    main()
