"""The codec's training on a GPU that is lent for minutes: bfloat16, 64 crops, photos in blocks.

python experiments/train_gpu.py --pack runs/codec/photos --blocks runs/blocks
python experiments/train_gpu.py --blocks runs/blocks --minutes 12 [TABLE.KEY=VALUE ...]

The first packs photos into tar files of at most 40 MB, which can be carried one by one. The second
trains on all that are there for so many minutes, loading included, saves, and ends; called again it
goes on. What a config says is what `vcm train` knows; its own numbers win over the ones here.
"""

import argparse
import io
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event, Timer

import torch
from PIL import Image

from vcm import dataset
from vcm.errors import ImageError
from vcm.scale.sources import read
from vcm.train.config import load
from vcm.train.loop import train

CONFIG = Path(__file__).parents[1] / "configs" / "next.toml"
BLOCK = 39_900_000  # bytes; the end of a tar file comes to them
SIDE = 896  # pixels; a crop is of at most 512 of them, made smaller
SAVING = 20  # seconds that the last step and its checkpoint may take
CHANGES = (
    "data.batch=64",
    "data.regions=[]",
    "run.precision=bf16",
    "run.folder=runs/gpu",
    "run.workers=12",
    "run.save_every=200",
)


def packed(photos: str) -> Iterator[tuple[str, bytes]]:
    """Name and JPEG of each photo, its long side at most SIDE."""
    for number, source in enumerate(dataset.pictures(photos)):
        try:
            picture = Image.fromarray(read(source))
        except ImageError as error:
            print(f"left out: {error}")
            continue
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=95, subsampling=0)
        yield f"{number:06}.jpg", data.getvalue()


def blocks(photos: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Photos by the block that holds them."""
    block, held = [], 0
    for name, data in photos:
        size = len(data) + 1024  # its header, and what fills it up
        if block and held + size > BLOCK:
            yield block
            block, held = [], 0
        block.append((name, data))
        held += size
    if block:
        yield block


def pack(photos: str, folder: Path) -> None:
    """Photos in tar files: block-000.tar and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, block in enumerate(blocks(packed(photos))):
        path = folder / f"block-{number:03}.tar"
        with tarfile.open(path, "w") as tar:
            for name, data in block:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
        print(f"{path}: {len(block)} photos, {path.stat().st_size / 1e6:.1f} MB", flush=True)


def main() -> None:
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=Path, required=True, help="the folder of the blocks")
    parser.add_argument("--pack", metavar="PHOTOS", help="make the blocks of these photos")
    parser.add_argument("--minutes", type=float, default=12)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("changes", nargs="*", metavar="TABLE.KEY=VALUE")
    options = parser.parse_args()
    if options.pack:
        pack(options.pack, options.blocks)
        return
    if not list(options.blocks.glob("block-*.tar")):
        sys.exit(f"no block-*.tar in {options.blocks}: make them with --pack PHOTOS")
    photos = f"data.photos={options.blocks}/block-*.tar"
    config = load(options.config, [*CHANGES, photos, *options.changes])
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "processor"
    print(f"{device}: {config.run.folder} for {options.minutes:g} minutes", flush=True)
    stop, left = Event(), 60 * options.minutes - SAVING - (time.monotonic() - started)
    timer = Timer(max(0.0, left), stop.set)
    timer.daemon = True
    timer.start()
    try:
        for record in train(config, stop=stop):
            shown = {k: v for k, v in record.items() if k in ("loss", "bpp", "mse", "seconds")}
            numbers = ", ".join(f"{k} {v:.5g}" for k, v in shown.items())
            print(f"step {record['step']:.0f}: {numbers}", flush=True)
    except KeyboardInterrupt:
        print(f"saved after {(time.monotonic() - started) / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
