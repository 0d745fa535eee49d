"""Writes the golden files of the present format: `python tests/golden/make.py`.

To be run once for each version of the format, when it is released; the files then stay as they are.
"""

from pathlib import Path

import numpy as np
import torch

from vcm import container, pipeline
from vcm.codec.api import Codec
from vcm.codec.models.rate import Rate
from vcm.codec.models.roi import RoiHyperprior
from vcm.codec.models.sizes import Sizes
from vcm.codec.nets.transforms import Widths
from vcm.codec.runtime.weights import save
from vcm.container import Bitstream, Header

HERE = Path(__file__).parent
SIZES = Sizes(12, 4, Widths(12, 20, 1, 1), Widths(8, 16, 1, 1), 16, 16, 16, 16, below=10)


def main() -> None:
    torch.manual_seed(2)
    model = RoiHyperprior(SIZES)
    for parameter in model.parameters():  # what training starts at zero would leave parts unused
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.03)
    linear = model.encoder.g_a.linear  # latents of many steps, some escaped
    torch.nn.init.normal_(linear.weight, std=0.2)
    stem = HERE / f"v{container.VERSION}"
    weights = stem.with_suffix(".safetensors")
    save(weights, model, Rate(SIZES.Z).tables(), {"licence": "Apache-2.0"})
    # The networks are random and enlarge what bfloat16 rounds.
    codec, rng = Codec.load(weights, bf16=False), np.random.default_rng(0)
    waves = np.sin(np.linspace(0, 9, 150))[:, None, None] * np.sin(np.linspace(0, 7, 200))[:, None]
    picture = (127 + 90 * waves + rng.normal(0, 20, (150, 200, 3))).clip(0, 255).astype(np.uint8)
    m = torch.full((1, 1, 150, 200), 0.2)
    m[..., 20:140, 20:70] = 0.03  # so little that qualities are below 0
    m[..., 30:100, 50:140] = 1
    x = torch.from_numpy(picture).permute(2, 0, 1)[None]
    strings = codec.compress(x, m, 70)
    header = Header(codec.fingerprint, 150, 200, 7000)
    stream = Bitstream(header, strings.z, strings.y, "wave", strings.map)
    data = container.pack(stream)
    stem.with_suffix(".vcm").write_bytes(data)
    control = codec.decoder.told(strings, 150, 200, 70, 0)
    y_hat = codec.decoder.read(strings, 150, 200, control, 0).numpy()
    np.savez_compressed(stem, y_hat=y_hat, x_hat=pipeline.decode(data, codec))


if __name__ == "__main__":
    main()
