"""COCO and task files with something wrong in them, at random: as tools and people leave them."""

import copy
import json
import math
import re
from typing import Any

from numpy.random import Generator

VALUES = (
    None, True, False, 0, 1, -1, 7, 2.5, -0.0, 1e308, math.nan, math.inf, 2**31, 2**63, 10**400, "",
    " ", "7", "-1", "1e3", "seven", "nan", "a\0b", "\udce9", "a" * 300, "../a.png", [], [[]], {},
    [None], [1, 2], ["1", "2", "3", "4"], [1, 2, 3, 4], [[1, 2, 3, 4, 5, 6]], [[[]]], [{}],
    {"size": [24, 32], "counts": "Q2"}, {"size": [0, 0], "counts": []}, {"size": None},
)  # fmt: skip
LINES = (
    "tau = 0.5", "tau = nan", "sigma = -1", "phrases = []", 'phrases = ["\\u0000"]',
    "version = 1e3", "[expected]", "[[also]]", "score = 70", "tolerance = inf", "classes = 3",
    'metric = "AP"', 'name = ""', "detail = true", "dilation = 99999999999999999999", "a.b.c = 1",
    "[", '"""', "= 1",
)  # fmt: skip


def mutated(data: Any, rng: Generator) -> Any:
    """The same with one to four values that are others, gone, or there twice."""
    data = copy.deepcopy(data)
    for _ in range(rng.integers(1, 5)):
        places = list(_places(data))
        holder, key = places[rng.integers(len(places))]
        _change(holder, key, places, rng)
    return data


def _places(node: Any) -> Any:
    """Each list or dictionary with each of its keys."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _change(holder: Any, key: Any, places: list[Any], rng: Generator) -> None:
    way = rng.integers(5)
    if way == 0:
        holder.pop(key)
    elif way == 1:
        other, name = places[rng.integers(len(places))]
        holder[key] = copy.deepcopy(other[name])
    elif way == 2 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif way == 3 and isinstance(holder[key], int | float):
        holder[key] = str(holder[key])
    else:
        holder[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])


def as_json(data: Any, rng: Generator) -> bytes:
    """The bytes of a file; of some, a few are others."""
    text = json.dumps(data).encode()
    if rng.random() < 0.1:
        text = b"\xef\xbb\xbf" + text
    return damaged(text, rng) if rng.random() < 0.1 else text


def damaged(text: bytes, rng: Generator) -> bytes:
    """One to four bytes that are others, gone or more; or an end that is missing."""
    data = bytearray(text)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(data)))
        way = rng.integers(4)
        if way == 0:
            data[at] = rng.integers(256)
        elif way == 1:
            del data[at]
        elif way == 2:
            data.insert(at, rng.integers(256))
        elif len(data) > 20:
            del data[max(20, at) :]
    return bytes(data)


def as_toml(text: str, rng: Generator) -> bytes:
    """A task file with lines that are gone, others or more, values that are none, or damage."""
    lines = text.splitlines()
    for _ in range(rng.integers(1, 4)):
        at, way = int(rng.integers(len(lines))), rng.integers(4)
        if way == 0 and len(lines) > 1:
            del lines[at]
        elif way == 1:
            lines.insert(at, LINES[rng.integers(len(LINES))])
        elif way == 2:
            odd = json.dumps(VALUES[rng.integers(len(VALUES))], default=str)
            lines[at] = re.sub(r"=.*", lambda found, odd=odd: f"= {odd}", lines[at])
        else:
            lines.insert(at, lines[at])
    data = "\n".join(lines).encode(errors="surrogatepass")
    return damaged(data, rng) if rng.random() < 0.2 else data
