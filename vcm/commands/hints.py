"""Which option helps: errors of the library say what is wrong, and by a key what would help."""

import re
from typing import Final

import click

from vcm.errors import VcmError

_OPTION: Final = re.compile(r"--[a-z-]+")
# `VcmError.hint` -> what a person can do; of these, what the running command has an option for
HINTS: Final = {
    "any words": (
        "for any words use --roi-backend clipseg",
        "for any words use --roi clipseg",
    ),
    "cache": ("name a folder for them with --cache", "keep none with --no-cache"),
    "cluster": ("start one here with --ray local",),
    "cluster's workers": ("leave --workers out",),
    "empty": ("lower --tau", "set another --on-empty"),
    "fewer workers": ("run the command again with fewer --workers: it goes on where it stopped",),
    "model's folder": ("the option is --model hf:FOLDER",),
    "own weights": ("give --weights base",),
    "pictures": ("name their folder with --images",),
    "port": ("try another --port",),
    "raw": ("give it with --raw 768x432",),
    "replace": ("--overwrite replaces it",),
    "runtime": ("--ort names another folder",),
    "score": ("--unchecked goes on all the same",),
    "size": ("--quality 0 and 100 give the two ends",),
    "sound": ("leave it out with --no-sound",),
    "turned": ("try --exif ignore",),
    "weights": ("name its weights with --weights",),
    "words' folder": ("the option is --roi-weights FOLDER",),
}


def helped(error: VcmError) -> str:
    """The message of an error, and which options of the running command help."""
    context = click.get_current_context(silent=True)
    own = {name for p in context.command.params for name in p.opts} if context else set()
    ways = [way for way in HINTS.get(error.hint, ()) if own.issuperset(_OPTION.findall(way))]
    return f"{error}; {' or '.join(ways)}" if ways else str(error)
