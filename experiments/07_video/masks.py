"""Masks over time against a detector's at every frame; writes masks.json and masks.md."""

import argparse
import json
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from click import progressbar
from numpy.typing import NDArray

from vcm import video
from vcm.files import write_atomic
from vcm.provenance import provenance
from vcm.roi import load_backend
from vcm.roi.acquire import Found, look
from vcm.roi.base import Backend
from vcm.roi.text import Words
from vcm.video.follow import Follower, Following

HERE = Path(__file__).parent
CLIPS = {"car-detection": "car", "bottle-detection": "bottle", "road": "car"}  # what is looked for
SOON = 12  # frames
EVERY = (1, 2, 5, 10)
WAYS = [
    Following(1, hold=0),
    Following(1),
    *(Following(n, flow=f) for n in EVERY[1:] for f in (True, False)),
]
Masks = NDArray[np.bool_]  # (N, H, W)


class Looks(NamedTuple):
    """What a backend finds in each frame, and how long a look takes."""

    found: list[Found]
    seconds: float


def looks(frames: list[video.Frame], words: Words, backend: Backend, label: str) -> Looks:
    """Look at every frame; the time is the median, since other programs run."""
    found, times = [], []
    with progressbar(frames, label=label) as bar:
        for frame in bar:
            start = time.perf_counter()
            found.append(look(frame.image, words, backend))
            times.append(time.perf_counter() - start)
    return Looks(found, float(np.median(times)))


def followed(
    frames: list[video.Frame], seen: Looks, backend: Backend, way: Following
) -> tuple[Masks, float]:
    """The masks that a way gives, and its seconds a frame, looks included."""
    taken: Iterator[Found] = iter(())
    count, masks, times = 0, [], []

    def find(image: video.clip.Image) -> Found:
        nonlocal count
        count += 1
        return next(taken)

    follower = Follower(find, backend.tau, backend.tau * backend.growth, way)
    for frame, found in zip(frames, seen.found, strict=True):
        taken, start = iter([found]), time.perf_counter()
        masks.append(follower(frame.image)[0])
        times.append(time.perf_counter() - start)
    return np.stack(masks), float(np.median(times)) + seen.seconds * count / len(frames)


def iou(masks: Masks, truth: Masks) -> float | None:
    """Over all pixels of all frames; None if there is nothing in either."""
    union = (masks | truth).sum()
    return float((masks & truth).sum() / union) if union else None


def flicker(masks: Masks) -> float | None:
    """Changes of pixels that come soon after another one, over the pixels that are inside.

    Things that pass quickly count too: that is what the truth has as well.
    """
    last, count = np.full(masks.shape[1:], -SOON - 1), 0
    for at, changed in enumerate(masks[1:] != masks[:-1]):
        count += int((changed & (at - last <= SOON)).sum())
        last[changed] = at
    inside = int(masks.sum())
    return count / inside if inside else None


def rows(options: argparse.Namespace, name: str) -> Iterator[dict[str, Any]]:
    """Each backend and way on a clip; the truth is the segmenter's, at its own threshold."""
    words, first = Words((CLIPS[name],), ()), options.first
    path = options.data / f"{name}.mp4"
    frames = list(video.open(path, video.Span(first, first + options.frames, options.fps)))
    truth: Masks | None = None
    for kind, more in (("segmenter", {"weights": str(options.weights)}), ("embedded", {})):
        backend = load_backend(kind, **more)
        seen = looks(frames, words, backend, f"{name}, {kind}")
        if truth is None:
            truth = np.stack([found.similarity >= backend.tau for found in seen.found])
        for way in WAYS:
            masks, seconds = followed(frames, seen, backend, way)
            yield {"clip": name, "words": CLIPS[name], "looks": kind, "every": way.every,
                   "hold": way.hold, "flow": way.flow and way.every > 1, "iou": iou(masks, truth),
                   "flicker": flicker(masks), "flicker_truth": flicker(truth),
                   "ms": 1000 * seconds, "first": first, "frames": len(frames)}  # fmt: skip


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def table(found: list[dict[str, Any]]) -> str:
    """For people."""
    head = "| clip | looks by | every | hold | flow | IoU, % | flicker, % (truth) | ms a frame |"
    lines = [head, "|---|---|--:|--:|---|--:|--:|--:|"]
    for r in found:
        lines.append(
            f"| {r['clip']}, {r['words']} | {r['looks']} | {r['every']} | {r['hold']} | "
            f"{'yes' if r['flow'] else '-'} | {percent(r['iou'])} | "
            f"{percent(r['flicker'])} ({percent(r['flicker_truth'])}) | {r['ms']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path("../shared")
    parser.add_argument("--data", type=Path, default=shared / "data" / "video")
    parser.add_argument("--weights", type=Path, default=shared / "weights" / "yolov8n-seg.pt")
    parser.add_argument("--clips", nargs="+", choices=CLIPS, default=list(CLIPS))
    parser.add_argument("--first", type=int, default=0, help="frame of each clip to begin with")
    parser.add_argument("--frames", type=int, default=10**6, help="of each clip, from there")
    parser.add_argument("--fps", type=Fraction, help="at most so many of them a second")
    options = parser.parse_args()
    found = [row for name in options.clips for row in rows(options, name)]
    result = {"rows": found, "provenance": provenance()}
    write_atomic(HERE / "masks.json", (json.dumps(result, indent=1) + "\n").encode())
    write_atomic(HERE / "masks.md", table(found).encode())
    print(table(found))


if __name__ == "__main__":
    main()
