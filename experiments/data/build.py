"""coco213 and voc100 from the official archives: the pictures of the lists beside this script.

python experiments/data/build.py coco --annotations annotations/ --photos train2017/ val2017/ \\
    -o DATA/coco213
python experiments/data/build.py voc --photos VOCdevkit/VOC2012/ -o DATA/voc100
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent


def coco(names: list[str], annotations: Path, photos: list[Path], target: Path) -> None:
    """Photos and the part of instances_{train,val}2017.json that is about them."""
    whole: dict[str, Any] = {"images": [], "annotations": []}
    for split in ("train2017", "val2017"):
        part = json.loads((annotations / f"instances_{split}.json").read_text())
        kept = [entry | {"coco_split": split} for entry in part["images"]
                if entry["file_name"] in names]  # fmt: skip
        ids = {entry["id"] for entry in kept}
        whole["categories"] = part["categories"]
        whole["images"] += kept
        whole["annotations"] += [a for a in part["annotations"] if a["image_id"] in ids]
    for name in names:
        shutil.copyfile(next(p / name for p in photos if (p / name).is_file()), target / name)
    (target.parent / "instances.json").write_text(json.dumps(whole))


def voc(names: list[str], devkit: Path, target: Path) -> None:
    """Photos and the class of each pixel; VOC's PNG files hold it as the index of a colour."""
    masks = target.parent / "voc_class_masks"
    masks.mkdir(exist_ok=True)
    for name in names:
        stem = Path(name).stem.removeprefix("voc_")
        shutil.copyfile(devkit / "JPEGImages" / f"{stem}.jpg", target / name)
        labels = np.asarray(Image.open(devkit / "SegmentationClass" / f"{stem}.png"))
        Image.fromarray(labels).save(masks / f"voc_{stem}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kind", choices=("coco", "voc"))
    parser.add_argument("--annotations", type=Path, help="COCO's folder of instances_*.json")
    parser.add_argument("--photos", type=Path, nargs="+", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    listed = HERE / f"{'coco213' if options.kind == 'coco' else 'voc100'}.sha256"
    digests = dict(line.split()[::-1] for line in listed.read_text().splitlines())
    target = options.output / "images"
    target.mkdir(parents=True, exist_ok=True)
    if options.kind == "coco":
        coco(list(digests), options.annotations, options.photos, target)
    else:
        voc(list(digests), options.photos[0], target)
    for name, digest in digests.items():
        if hashlib.sha256((target / name).read_bytes()).hexdigest() != digest:
            raise SystemExit(f"{name}: not the picture that was measured; is the archive whole?")
    print(f"{options.output}: {len(digests)} pictures, all as they were measured")


if __name__ == "__main__":
    main()
