"""The shipped table of words: what WordNet and sentence embeddings both say a word shows.

Writes vcm/roi/lexicon.toml. What people decided is in vcm/roi/words.toml, which wins.
"""

import argparse
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import torch
from vectors import embed
from wordnet import WordNet

from vcm.roi.specialists import everything
from vcm.roi.vocabulary import forms, vocabulary

HERE = Path(__file__).parent
ROI = HERE.parents[1] / "vcm" / "roi"
LONGEST = 3  # words of a phrase
Meanings = dict[str, set[str]]  # by class, WordNet's offsets


def candidates(net: WordNet, roots: dict[str, list[str]]) -> tuple[dict[str, str], Meanings]:
    """The class that a meaning of each noun is a kind of; the meanings of each class."""
    meanings: Meanings = {}
    for name, entries in roots.items():
        for entry in entries:
            lemma, number = entry.rsplit(" ", 1)
            meanings.setdefault(name, set()).update(net.kinds(net.senses[lemma][int(number) - 1]))
    covers: dict[str, set[str]] = {}
    for name, offsets in meanings.items():
        for offset in sorted(offsets):
            for lemma in net.synsets[offset].lemmas:
                if plain(lemma) and not latin(lemma, net):
                    covers.setdefault(lemma.lower(), set()).add(name)
    # a noun of two classes would need a person to say which one is meant
    return {word: name for word, (name, *more) in covers.items() if not more}, meanings


def plain(word: str) -> bool:
    """Whether people would type it: letters, few of them."""
    parts = word.replace("-", " ").replace("'", "").split()
    return (
        len(parts) <= LONGEST
        and all(p.isalpha() and p.isascii() for p in parts)
        and 2 < len(word) < 25
    )


def latin(lemma: str, net: WordNet) -> bool:
    """Whether it is the scientific name of a species: Canis familiaris, Lynx lynx."""
    first, *_, last = lemma.split() * 2
    same = first.lower() == last and " " in lemma
    return lemma[0].isupper() and last.islower() and (same or last not in net.senses)


def agreed(net: WordNet, covers: dict[str, str], meanings: Meanings) -> Iterator[str]:
    """The nouns that WordNet and the embeddings put in the same class.

    Bare cosine calls a bike rider a bicycle and a dog sled a dog; WordNet alone calls a pointer a
    dog. A noun's first meaning is enough where the class is among its three nearest; a later
    meaning must be the nearest of all.
    """
    words = sorted(covers)
    names = list(meanings)
    vectors = torch.cat([embed(words[i : i + 256]) for i in range(0, len(words), 256)])
    nearest = (vectors @ embed(names).T).topk(3).indices.tolist()
    for word, order in zip(words, nearest, strict=True):
        first = net.senses[word][0] in meanings[covers[word]]
        if covers[word] in [names[i] for i in (order if first else order[:1])]:
            yield word


def groups(net: WordNet, meanings: Meanings, wanted: set[str]) -> dict[str, list[str]]:
    """Wider words and the classes they cover: "carnivore", "crockery", "white goods"."""
    above: dict[str, set[str]] = {}
    for name, offsets in meanings.items():
        for offset in offsets:
            for wider in net.wider(offset):
                if wider not in offsets:
                    above.setdefault(wider, set()).add(name)
    return {
        lemma.lower(): [n for n in meanings if n in names]
        for offset, names in above.items()
        for lemma in net.synsets[offset].lemmas
        if len(names) > 1 and lemma.lower() in wanted
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wordnet", type=Path, help="WordNet's dict folder")
    options = parser.parse_args()
    net = WordNet(options.wordnet)
    choice = tomllib.loads((HERE / "senses.toml").read_text())
    by_hand = tomllib.loads((ROI / "words.toml").read_text())
    taken = {w for part in ("classes", "groups") for w in by_hand[part]}
    taken |= {w for words in by_hand["classes"].values() for w in words}
    taken |= set(everything().meaning) - set(vocabulary().meaning)  # the specialists' words
    refused = set(choice["refused"])
    covers, meanings = candidates(net, choice["classes"])
    kept = [w for w in agreed(net, covers, meanings) if not {w, *forms(w)} & (taken | refused)]
    wider = groups(net, meanings, set(choice["groups"]) - taken)
    lines = ["# Made by experiments/00_words/table.py from WordNet and sentence embeddings.", ""]
    for title, table in (
        ("classes", {name: [w for w in kept if covers[w] == name] for name in meanings}),
        ("groups", dict(sorted(wider.items()))),
    ):
        lines += [f"[{title}]", *(f'"{k}" = {json.dumps(v)}' for k, v in table.items() if v), ""]
    (ROI / "lexicon.toml").write_text("\n".join(lines))
    print(f"{len(kept)} words of {len(covers)} candidates, {len(wider)} groups")


if __name__ == "__main__":
    main()
