"""The built-in codecs as repositories of the Hugging Face hub: a weight file and a card each.

python experiments/upload.py                  writes runs/hub/NAME, to look at
python experiments/upload.py --owner OWNER    uploads them as OWNER/vcm-NAME; run `hf auth login`
                                              first

`vcm.Codec.load("hf:OWNER/vcm-base")` loads what is there, and "hf:runs/hub/base" what is here.
"""

import argparse
import shutil
from pathlib import Path

from vcm import weightfile
from vcm.files import make_folder, write_atomic
from vcm.hub import MODEL

CARD = """\
---
license: apache-2.0
library_name: vcm
pipeline_tag: image-to-image
tags: [image-compression, learned-image-compression, coding-for-machines, region-of-interest]
---

```python
import numpy as np
import vcm
from vcm import image

codec = vcm.Codec.load("hf:OWNER/vcm-{name}")
photo = image.read("photo.jpg")
everything = vcm.RoiMask(np.ones(photo.shape[:2], bool), sigma=1, source="all")
data = vcm.encode(photo, everything, codec, quality=50)
```

{text}"""


def written(name: str, path: Path, folder: Path) -> Path:
    """The repository of a built-in codec: its weights, its decoder's if it has none, a card."""
    place = folder / name
    make_folder(place)
    shutil.copy(path, place / MODEL)
    decoder = weightfile.card_of(path).get("decoder")
    for other in weightfile.codecs().values():
        if decoder and weightfile.card_of(other).get("fingerprint") == decoder:
            shutil.copy(other, place / "decoder.safetensors")
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    write_atomic(place / "README.md", CARD.format(name=name, text=text).encode())
    return place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/hub"))
    parser.add_argument("--owner", help="whose repositories they become; default: write them only")
    options = parser.parse_args()
    for name, path in weightfile.codecs().items():
        place = written(name, path, options.folder)
        print(place)
        if options.owner:
            from huggingface_hub import HfApi

            repository = f"{options.owner}/vcm-{name}"
            HfApi().create_repo(repository, exist_ok=True)
            print(HfApi().upload_folder(repo_id=repository, folder_path=place))


if __name__ == "__main__":
    main()
