"""Weights between those of commit dbdc1f8 and newly trained ones: those of commit 18e3cd1.

git show dbdc1f8:vcm/weights/roi-base.safetensors > runs/before.safetensors
python experiments/03_tma/between.py runs/before.safetensors --begin runs/begin.safetensors
vcm train-roi --config configs/roi.toml     # with initial = "runs/begin.safetensors"
python experiments/03_tma/between.py runs/before.safetensors runs/roi/roi.safetensors
(and with --share 0.7 -o FILE those weights, from which the released ones were trained)

Source: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from vcm import toml, weightfile
from vcm.roi import session
from vcm.roi.network import PixelWordNet
from vcm.roi.vocabulary import vocabulary
from vcm.train import roi_weights
from vcm.train.roi import RoiTraining
from vcm.train.roi_importance import learn
from vcm.train.roi_labels import VOC
from vcm.train.roi_photos import LabelledPhoto, gather, kept_apart
from vcm.train.roi_score import card, score
from vcm.train.roi_start import members

CONFIG = Path(__file__).parents[2] / "configs" / "roi.toml"
SHARES = (0.0, 0.5, 0.7, 1.0)
PARTS = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")  # of a block, as timm names them
FIRST = ("conv_dw", "bn1", "conv_pw", "bn2")  # of the first stage's
LEAVES = ("weight", "bias", "running_mean", "running_var")


def before(path: Path, words: Path) -> PixelWordNet:
    """The network of a file of before, with what has been added since as it begins."""
    stored, _ = weightfile.read(path, "vcm-roi-1")
    old = {k: v.float() for k, v in stored.items() if not k.endswith("num_batches_tracked")}
    net = PixelWordNet(load_file(words)["words"], members())
    own = net.state_dict()
    backbone = sorted((k for k in old if k.startswith("backbone.")), key=_place)
    ours = [k for k in own if k.startswith("backbone.")]
    new = dict(zip(ours, (old[k] for k in backbone), strict=True))
    rest = {k: v for k, v in old.items() if k in own and k not in ("words", "members")}
    net.load_state_dict(own | new | rest)
    return net.eval()


def _place(name: str) -> tuple[int, ...]:
    """Where a tensor of timm's backbone stands in the order of its layers."""
    *parts, layer, leaf = name.removeprefix("backbone.").split(".")
    if not parts:  # the stem
        return (-1, 0, int(layer == "bn1"), LEAVES.index(leaf))
    stage, block = int(parts[1]), int(parts[2])
    names = PARTS if stage else FIRST
    return (stage, block, names.index(layer), LEAVES.index(leaf))


def between(a: PixelWordNet, b: dict[str, Tensor], share: float) -> PixelWordNet:
    """The network at a share of the way from a to b; the importance head is b's."""
    net = PixelWordNet(a.words, a.members)
    net.load_state_dict(
        {
            k: v if k.startswith("importance") or not v.is_floating_point()
            else torch.lerp(a.state_dict()[k], v, share)
            for k, v in b.items()
        }
    )  # fmt: skip
    return net.eval()


def tell(
    net: PixelWordNet, share: float, photos: dict[str, list[LabelledPhoto]], folder: Path
) -> None:
    """Mean IoU of VOC's photos, by VOC's classes, and of the others, by COCO's."""
    path = folder / "between.safetensors"
    roi_weights.save(path, net, {})
    coco = vocabulary().coco
    counted = {"VOC": [coco.index(n) for n in VOC], "others": list(range(len(coco)))}
    for name, some in photos.items():
        s = score(session.load(path)[0], some)
        iou = s.iou[counted[name]]
        low, seen = int((iou < 0.05).sum()), int((iou >= 0).sum())
        print(
            f"share {share:g}, {len(some)} photos of {name}: IoU {100 * np.nanmean(iou):.1f} "
            f"at tau {s.tau:g}, {low} of {seen} classes below 5, "
            f"{100 * s.empty:.1f} % rightly empty",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path, nargs="?")
    parser.add_argument("--words", type=Path, default=Path("runs/roi/words.safetensors"))
    parser.add_argument("--begin", type=Path, help="write the weights of before in today's form")
    parser.add_argument("--run", type=Path, default=Path("runs/roi"), help="of the training")
    parser.add_argument("--share", type=float)
    parser.add_argument("-o", "--output", type=Path)
    given = parser.parse_args()
    torch.manual_seed(0)  # of what has been added
    old = before(given.before, given.words)
    if given.begin:
        roi_weights.save(given.begin, old, {"tau": "0.75"})
    if given.after is None:
        return
    new, told = roi_weights.load(given.after)
    config = toml.load(CONFIG, RoiTraining)
    found = gather(config.photos, config.voc_masks, Path(config.more), given.run)
    apart = kept_apart(found)
    kept = sorted(photo for photo in found if photo.path in apart)
    if given.output:
        net = between(old, new.state_dict(), given.share)
        training = [photo for photo in found if photo.path not in apart]
        looks = learn(net, training, kept, config.detectors, given.run / "importance")
        card_ = {"steps": told["steps"], "importance_correlation": f"{looks:.3f}"}
        roi_weights.save(given.output, net, card_)
        result = score(session.load(given.output)[0], kept)
        roi_weights.save(given.output, net, card_ | card(result))
        return
    voc = [p for p in kept if (config.voc_masks / f"{p.path.stem}.png").is_file()]
    photos = {"VOC": voc, "others": [p for p in kept if p not in voc]}
    for share in (given.share,) if given.share is not None else SHARES:
        tell(between(old, new.state_dict(), share), share, photos, given.run)


if __name__ == "__main__":
    main()
