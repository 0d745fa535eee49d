"""The words that are known without a network, and what is said of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcm.errors import UnknownWord
from vcm.roi.vocabulary import vocabulary


def covered(phrase: str) -> set[str]:
    return {vocabulary().classes[i] for i in vocabulary().cover(phrase)}


def test_classes_begin_with_cocos_80_and_every_word_covers_some() -> None:
    known = vocabulary()
    assert len(set(known.classes)) == len(known.classes) > 80
    assert known.classes[:80] == known.coco
    for word, cover in known.meaning.items():
        assert cover and len(set(cover)) == len(cover), word
        assert word == " ".join(word.lower().split()), f"{word!r} could never be looked up"


def test_a_class_means_itself_and_no_word_has_two_meanings() -> None:
    """A synonym that is another class's name, or in two lists, would silently win over it."""
    import tomllib
    from pathlib import Path

    import vcm.roi

    words = []
    for name in ("words.toml", "lexicon.toml"):
        table = tomllib.loads((Path(vcm.roi.__file__).parent / name).read_text())
        unfound = table.get("unfound", {}).get("rooms", [])
        rooms = {k: v for k, v in table.get("rooms", {}).items() if k not in unfound}
        own = table["classes"] | rooms
        words += list(own) if name == "words.toml" else []
        words += [w for ws in own.values() for w in ws] + list(table["groups"])
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize(
    ("phrase", "classes"),
    [
        ("person", {"person"}),
        ("People", {"person"}),
        ("puppies", {"dog"}),
        ("the dogs", {"dog"}),
        ("A kitten.", {"cat"}),
        ("buses", {"bus"}),
        ("bus", {"bus"}),
        ("wine glasses", {"wine glass"}),
        ("knives", {"knife"}),
        ("sofa", {"couch"}),
        ("aeroplane", {"airplane"}),
        ("tvmonitor", {"tv"}),
        ("flooring", {"floor"}),
        ("desk", {"dining table", "desk"}),
        ("bike rider", {"person", "bicycle"}),
        ("cutlery", {"fork", "knife", "spoon"}),
        ("German shepherds", {"dog"}),
        ("firemen", {"person"}),
        (
            "food",
            set(
                [
                    "banana",
                    "apple",
                    "sandwich",
                    "orange",
                    "broccoli",
                    "carrot",
                    "pizza",
                    "donut",
                    "cake",
                ]
            )
            | {"hot dog"},
        ),
        ("furniture", {"bench", "chair", "couch", "bed", "dining table"}),
        # phrases: the last noun, joined nouns, what is only a place, amounts
        ("baby elephant", {"elephant"}),
        ("a man riding a horse", {"person", "horse"}),
        ("women with umbrellas", {"person", "umbrella"}),
        ("dogs and cats", {"dog", "cat"}),
        ("the dog on the sofa", {"dog"}),
        ("group of people", {"person"}),
        ("a pair of scissors", {"scissors"}),
        ("glass of wine", {"wine glass"}),
        ("woman in red", {"person"}),
        ("2 dogs", {"dog"}),
        ("traffic-lights", {"traffic light"}),
        ("teddy-bear", {"teddy bear"}),
        ("computer mice", {"mouse"}),
        ("the man's horse", {"horse"}),
        ("a dog’s bowl", {"bowl"}),
    ],
)
def test_what_words_cover(phrase: str, classes: set[str]) -> None:
    assert covered(phrase) == classes


def test_what_cannot_be_told_apart_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert covered("my red car") == {"car"}
    assert "red" in caplog.text and "my" not in caplog.text.split(":")[-1]
    assert covered("person dog") == {"dog"}
    assert "only dog is meant; for both write 'person, dog'" in caplog.text


@pytest.mark.parametrize(
    ("phrase", "word"),
    [
        ("cat in a house", "house"),
        ("dog sled", "sled"),
        ("zorb man", "zorb"),
        ("the", "the"),
        ("red", "red"),
        ("people with no dogs", "no"),
        ("background", "background"),
    ],
)
def test_a_phrase_with_an_unknown_word_names_that_word(phrase: str, word: str) -> None:
    with pytest.raises(UnknownWord, match=f"unknown word '{word}'|unknown word '{phrase}'"):
        vocabulary().cover(phrase)


def test_the_table_is_large_and_has_what_people_type() -> None:
    assert len(vocabulary().meaning) >= 1_500
    for word in ("puppy", "people", "cyclist", "vehicles", "animals", "kids", "SUV", "food"):
        assert covered(word), word


def test_the_names_of_voc_are_known() -> None:
    names = (
        "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike "
        "person pottedplant sheep sofa train tvmonitor"
    )
    assert {len(covered(name)) for name in names.split()} == {1}


def test_groups_cover_their_members() -> None:
    assert covered("cat") | covered("dog") <= covered("pets") <= covered("animals")
    assert covered("cars") <= covered("motor vehicle") <= covered("vehicles")


@pytest.mark.parametrize(("phrase", "near"), [("catt", "cat"), ("vehicel", "vehicle")])
def test_an_unknown_word_names_near_ones_and_the_way_out(phrase: str, near: str) -> None:
    with pytest.raises(UnknownWord) as caught:
        vocabulary().cover(phrase)
    assert near in str(caught.value) and caught.value.hint == "any words"


@pytest.mark.slow
@given(st.text(max_size=100))
def test_any_phrase_is_known_or_an_unknown_word(phrase: str) -> None:
    try:
        assert vocabulary().cover(phrase)
    except UnknownWord as error:
        assert len(str(error)) < 400
