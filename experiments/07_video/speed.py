"""Does a .vcms stream keep up with its camera, words included?

    python experiments/07_video/speed.py

Codes frames of a clip by the built-in network's words and `base`, one thread, and prints what each
part takes: processor seconds a frame, which other programs do not change much, and the rate that
two cores have at that. Adds to speed.json, by how often the network looks.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

import vcm
from vcm import pipeline, video
from vcm.files import add_json
from vcm.provenance import provenance
from vcm.video.follow import Following, Masked, follow

HERE = Path(__file__).resolve().parent
CLIP = HERE.parent.parent.parent / "shared" / "data" / "video" / "car-detection.mp4"
CORES = 2


class Clock:
    """Processor seconds by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, act: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = act()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
        return result

    def each(self, name: str, items: Iterator[Any]) -> Iterator[Any]:
        end = object()
        while (item := self.timed(name, lambda: next(items, end))) is not end:
            yield item


def measured(options: argparse.Namespace) -> dict[str, float]:
    """Processor seconds a frame of each part; the first frame, which warms up, does not count."""
    codec, backend = vcm.Codec.load(), vcm.load_backend("embedded")
    task = vcm.TaskSpec("cars", 1, "", ("car",))
    span = video.Span(options.first, options.first + options.frames)
    clock, size, count = Clock(), 0, 0
    way = Following(options.every)
    warm = next(follow(video.open(options.clip, span), task, backend, way, "background"))
    pipeline.encode(warm.frame.image, warm.mask, codec, quality=options.quality)

    def coded(one: Masked) -> bytes:
        image, mask = one.frame.image, one.mask
        return pipeline.encode(image, mask, codec, quality=options.quality)

    frames = clock.each("reading", iter(video.open(options.clip, span)))
    both = clock.each("reading and words", follow(frames, task, backend, way, "background"))
    for one in both:
        data = clock.timed("coding", lambda one=one: coded(one))
        clock.timed("decoding", lambda data=data: pipeline.decode(data, codec))
        size, count = size + len(data), count + 1
    seconds = {name: total / count for name, total in clock.seconds.items()}
    seconds["words"] = seconds.pop("reading and words") - seconds["reading"]
    return seconds | {"bytes": size / count, "frames": count}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clip", type=Path, default=CLIP)
    parser.add_argument("--first", type=int, default=184)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--quality", type=float, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)  # threads that wait for others take processor time too
    found = measured(options)
    whole = found["reading"] + found["words"] + found["coding"]
    report = found | {"whole": whole, "frames a second on two cores": CORES / whole}
    for name, value in report.items():
        print(f"{name:<30} {value:.3f}")
    add_json(HERE / "speed.json", {f"every {options.every}": report | provenance()})


if __name__ == "__main__":
    main()
