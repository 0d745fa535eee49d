"""Files, latents and pictures of two devices side by side: `python tests/gpu.py [cpu [cuda]]`.

Not a test: it prints what is to be seen, for a device that nobody has tried.
"""

import sys
import time
from functools import partial

import numpy as np
import torch
from skimage import data as pictures

import vcm
from vcm import container
from vcm.codec.format.control import Control
from vcm.codec.format.strings import strings_of
from vcm.codec.runtime.any_rate import AnyRate
from vcm.metrics.distortion import psnr
from vcm.weightfile import find

QUALITIES = (10, 50, 90)


def timed(work):
    """Seconds of the faster of two runs, and what it gave."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        found = work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds), found


def latent(data, codec):
    """y_hat of a file, in sixteenths."""
    stream = container.unpack(data)
    head = stream.header
    told = head.height, head.width, Control(head.quality / 100), head.tile
    return codec.decoder.read(strings_of(stream), *told).cpu()


def main() -> None:
    devices = sys.argv[1:] or ["cpu", "cuda"]
    codecs = {device: AnyRate.read(find(), device=device) for device in devices}
    photo = np.ascontiguousarray(pictures.astronaut())
    inside = np.zeros(photo.shape[:2], np.bool_)
    inside[:300, 140:340] = True
    roi = vcm.RoiMask(inside, 0.1, "the astronaut")
    for quality in QUALITIES:
        files = {}
        for device, codec in codecs.items():
            seconds, files[device] = timed(partial(vcm.encode, photo, roi, codec, quality=quality))
            print(f"quality {quality}: {device} makes {len(files[device])} bytes, {seconds:.3f} s")
        for writer, data in files.items():
            read = {device: latent(data, codec) for device, codec in codecs.items()}
            shown = {d: timed(partial(vcm.decode, data, c)) for d, c in codecs.items()}
            first, last = devices[0], devices[-1]
            apart = np.abs(shown[first][1].astype(int) - shown[last][1])
            same = torch.equal(read[first], read[last])
            seconds = ", ".join(f"{d} {s:.3f} s" for d, (s, _) in shown.items())
            print(
                f"  of {writer}: latents {'agree' if same else 'DIFFER'}, pictures differ by at "
                f"most {apart.max()}, by more than 1 in {(apart > 1).mean():.1e} of the values, "
                f"{psnr(photo, shown[last][1]):.2f} dB; decoded in {seconds}"
            )


if __name__ == "__main__":
    main()
