"""docs/pages/reference/classes.md: how well each class is found, by the card and results.json.

python experiments/03_tma/classes.py
"""

import json
from pathlib import Path

from vcm import weightfile
from vcm.roi.embedded import DEFAULT
from vcm.roi.vocabulary import vocabulary

HERE = Path(__file__).parent
TARGET = HERE.parents[1] / "docs" / "pages" / "reference" / "classes.md"
HEAD = """# What the built-in network finds

Every class that the built-in words-to-mask network was trained on, and how well it finds it, in
percent. Those under `unfound` in `vcm/roi/words.toml` are found too badly to be words yet.

- **Recall**: the share of an object's pixels that the mask covers, averaged over the photos that
  show the class. It is measured on training photos that were kept apart; most labels there are
  YOLOv8n-seg's, those of rooms are people's. `vcm encode` and `vcm roi` warn when a word means a
  class below 33.
- **IoU**: the overlap of found and true pixels over all photos: on the photos kept apart, on
  coco213 and on voc100. People labelled the last two, which no training has used.

"-": no photo of the set shows the class. Better masks of COCO's classes:
`--roi-backend segmenter` with a YOLO-seg checkpoint. Other words: `--roi-backend grounding` or
`clipseg`.

| class | recall, kept apart | IoU, kept apart | IoU, coco213 | IoU, voc100 |
|---|--:|--:|--:|--:|
"""


def main() -> None:
    card = weightfile.card_of(DEFAULT)
    recall, iou = (
        {name: 100 * value for name, value in json.loads(card[key]).items()}
        for key in ("recall", "iou")
    )
    results = json.loads((HERE / "results.json").read_text())
    sets = [results[s]["methods"]["embedded"]["IoU"] for s in ("coco213", "voc100")]
    rows = []
    for name in vocabulary().classes:
        values = [f"{t[name]:.0f}" if name in t else "-" for t in (recall, iou, *sets)]
        rows.append(f"| {name} | {' | '.join(values)} |")
    source = f"By `python experiments/03_tma/classes.py`; weights of {card['steps']} steps."
    TARGET.write_text(HEAD + "\n".join(rows) + f"\n\n{source}\n")


if __name__ == "__main__":
    main()
