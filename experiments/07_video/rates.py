"""The tables of `vcm eval` on clips, side by side: rates.json and rates.md.

python experiments/07_video/rates.py out/car out/road
"""

import argparse
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MADE = ("command", "date", "commit", "versions", "machine")
SHOWN = ("agreement AP", "agreement MOTA", "agreement IDF1", "ROI-PSNR")


def read(folder: Path) -> dict[str, Any]:
    """What a results.json says that is shown here."""
    report = json.loads((folder / "results.json").read_text())
    codecs = [
        {
            "codec": codec["name"],
            "points": [
                {"setting": p["setting"], "kbps": p["kbps"]}
                | {m: p["scores"][m]["value"] for m in SHOWN if m in p["scores"]}
                for p in codec["points"]
            ],
        }
        for codec in report["codecs"]
    ]
    data, made = report["data"], {name: report[name] for name in MADE}
    return {"clip": data["name"], "frames": data["pictures"], "codecs": codecs} | made


def table(clips: list[dict[str, Any]]) -> str:
    """One row a codec and rate."""
    lines = ["| clip | codec | setting | kbps | AP, % | MOTA, % | IDF1, % | ROI-PSNR, dB |"]
    lines.append("|---|---|--:|--:|--:|--:|--:|--:|")
    for clip in clips:
        for codec in clip["codecs"]:
            for point in codec["points"]:
                cells = [f"{point[m]:.1f}" if m in point else "-" for m in SHOWN]
                lines.append(
                    f"| {clip['clip']}, {clip['frames']} frames | {codec['codec']} | "
                    f"{point['setting']:g} | {point['kbps']:.0f} | {' | '.join(cells)} |"
                )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    clips = [read(folder) for folder in parser.parse_args().folders]
    (HERE / "rates.json").write_text(json.dumps(clips, indent=1) + "\n")
    (HERE / "rates.md").write_text(table(clips))


if __name__ == "__main__":
    main()
