"""Reads one file in many fresh processes of a busy machine: `python tests/stress.py --count 1000`.

Each process sums bytes (AMX, VNNI) for the first time in its life, while others keep all cores busy
with bfloat16 products. What counts is the first reading, which `Decoder.read` would try once more.
`MALLOC_PERTURB_=165` before the command fills new memory with garbage.
"""

import argparse
import hashlib
import json
import os
import time
from collections import Counter
from multiprocessing import get_context

import numpy as np
import torch

from vcm import container, pipeline
from vcm.codec.api import Codec
from vcm.codec.format.constants import latent_size
from vcm.codec.format.control import Control
from vcm.codec.format.strings import strings_of
from vcm.codec.nets import integer
from vcm.codec.nets.control import Controls
from vcm.roi.mask import RoiMask

SIZE = 480, 640


def coded() -> bytes:
    """A file of a picture with edges, smooth parts and noise."""
    codec, (height, width), rng = Codec.load(), SIZE, np.random.default_rng(0)
    picture = np.add.outer(np.arange(height), np.arange(width)) % 256
    picture = np.repeat(picture[..., None], 3, 2).astype(np.uint8)
    picture[: height // 2] ^= rng.integers(0, 64, (height // 2, width, 3), dtype=np.uint8)
    mask = RoiMask(np.ones(SIZE, np.bool_), 1.0, "stress")
    return pipeline.encode(picture, mask, codec, quality=60)


def reading(data: bytes, floats: bool) -> str:
    """What a first reading comes to: a digest of the latent, or the error."""
    if floats:
        integer.is_exact = lambda: False
    stream = container.unpack(data)
    head = stream.header
    size = latent_size(head.height, head.width)
    control = Controls.single(Control(head.quality / 100))
    try:
        with torch.inference_mode():
            latents = Codec.load().latents
            y_hat = latents.read(strings_of(stream), *size, control, head.tile)
    except Exception as error:  # all that can go wrong is what is asked for
        return repr(error)
    return hashlib.sha256(y_hat.numpy().tobytes()).hexdigest()[:16]


def in_a_new_process(data: bytes, floats: bool) -> str:
    """`reading` by a process that has computed nothing before."""
    there, here = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(here, reading(data, floats).encode())
        os._exit(0)
    os.close(here)
    with os.fdopen(there) as told:
        answer = told.read()
    _, status = os.waitpid(child, 0)
    return answer if status == 0 else f"exit status {status}"


def busy() -> None:
    """Keep a core at work in the units that readers use."""
    torch.set_num_threads(1)
    a = torch.rand(512, 512, dtype=torch.bfloat16)
    while True:
        a = (a @ a).clamp(0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--busy", type=int, default=2, help="processes that keep cores busy")
    parser.add_argument("--floats", action="store_true", help="sum in float32 instead of bytes")
    options = parser.parse_args()
    spawn = get_context("spawn")
    with spawn.Pool(1) as pool:  # here nothing is computed before the fork
        data = pool.apply(coded)
        expected = pool.apply(reading, (data, True))
    workers = [spawn.Process(target=busy, daemon=True) for _ in range(options.busy)]
    for worker in workers:
        worker.start()
    start, counts = time.perf_counter(), Counter[str]()
    for _ in range(options.count):
        counts[in_a_new_process(data, options.floats)] += 1
    told = {"read": counts.pop(expected, 0), "not read": dict(counts)}
    print(json.dumps({**told, "seconds": round(time.perf_counter() - start)}))


if __name__ == "__main__":
    main()
