"""Damages files at random and decodes them: `python tests/fuzz.py --count 100000`.

Half of the files are damaged as a disk or a network would, so that checksums find it; half as
someone who knows the format would, with the checksums made right, so that the decoder itself gets
forged sizes, qualities, tiles and strings.

A file must not cost what its few bytes do not deserve, though it claims up to 2^28 pixels: the CPU
time of each and the memory of all are bounded.
"""

import argparse
import json
import resource
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import torch
from numpy.random import Generator

from vcm import container, pipeline
from vcm.codec.api import Codec
from vcm.errors import BitstreamError, ModelError
from vcm.roi.mask import RoiMask

SIZES = ((1, 1), (7, 5), (64, 48), (40, 130))
SECONDS = 2.0  # of CPU, for one file
MIB = 256.0  # that all may add to what this process needs


def originals(codec: Codec, seed: int = 0) -> list[bytes]:
    """Small files of smooth and of noisy pictures, at several qualities, one of them with text."""
    rng = np.random.default_rng(seed)
    files = []
    for i, (height, width) in enumerate(SIZES):
        noise = rng.integers(0, 256, (height, width, 3))
        ramp = np.linspace(0, 255, width)[None, :, None]
        picture = (noise * (i % 2) + ramp * (1 - i % 2)).astype(np.uint8)
        mask = RoiMask(np.arange(width) < np.full((height, 1), width // 2), 0.3, "fuzz")
        for quality in (5, 60, 100):
            text = "cat" if quality == 60 else None
            files.append(pipeline.encode(picture, mask, codec, quality=quality, text=text))
    return files


def damaged(files: list[bytes], rng: Generator) -> bytes:
    """A file with something wrong."""
    data = files[rng.integers(len(files))]
    if rng.random() < 0.5:
        return _bytes(data, files, rng)
    stream = container.unpack(data)
    header = stream.header
    changes = {
        "fingerprint": rng.bytes(8),
        "height": int(rng.choice([1, 17, 200, 3_000, 16_384, 65_535, rng.integers(1, 65_536)])),
        "width": int(rng.choice([1, 33, 300, 4_096, 16_384, rng.integers(1, 65_536)])),
        "quality": int(rng.integers(10_001)),
        "tile": int(rng.choice([0, 24, 96, 100, 4 * rng.integers(64)])),
    }
    names = [name for name in changes if rng.random() < 0.2]
    try:
        header = replace(header, **{name: changes[name] for name in names})
    except BitstreamError:
        names = []
    parts = {"z": stream.z, "y": stream.y, "map": stream.map}
    for name in parts:
        if rng.random() < (0.4 if names else 0.7):
            parts[name] = _bytes(parts[name], files, rng)
    return container.pack(replace(stream, header=header, **parts))


def _bytes(data: bytes, files: list[bytes], rng: Generator) -> bytes:
    """Bytes flipped, overwritten, cut, repeated, inserted or taken from another file."""
    at, length = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
    other = files[rng.integers(len(files))]
    flipped = bytearray(data or b"\0")
    for _ in range(rng.integers(1, 5)):
        flipped[rng.integers(len(flipped))] ^= 1 << rng.integers(8)
    return [
        bytes(flipped),
        data[:at] + rng.bytes(length) + data[at + length :],
        data[:at],
        data[:at] + data[at : at + length] * 3 + data[at + length :],
        data[:at] + rng.bytes(length) + data[at:],
        data[:at] + other[at:],
        rng.bytes(4 * length),
    ][rng.integers(7)]


def outcome(data: bytes, codec: Codec) -> str:
    """What decoding comes to; any other error than those of a file is raised."""
    try:
        pipeline.decode(data, codec)
    except (BitstreamError, ModelError) as error:
        return type(error).__name__
    return "a picture"


def peak() -> float:
    """MiB of memory that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of CPU, for one file")
    options = parser.parse_args()
    torch.set_num_threads(1)  # threads that wait for others take CPU time too
    codec, rng = Codec.load(), np.random.default_rng(options.seed)
    files = originals(codec)
    outcome(files[-1], codec)
    before, slowest = peak(), 0.0
    counts: Counter[str] = Counter()
    for i in range(options.count):
        data = damaged(files, rng)
        start = time.process_time()
        try:
            counts[outcome(data, codec)] += 1
            seconds, grown = time.process_time() - start, peak() - before
            assert seconds < options.seconds, f"{seconds} s"
            assert grown < MIB, f"{grown} MiB"
        except BaseException:
            print(f"file {i} of seed {options.seed}: {data.hex()}")
            raise
        slowest = max(slowest, seconds)
    print(json.dumps({**counts, "slowest_seconds": slowest, "memory_grown_mib": peak() - before}))


if __name__ == "__main__":
    main()
