"""The grammar of ROI texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcm.errors import SpecError
from vcm.roi.text import MAX_PHRASES, Words, parse, task_of, words_of

WORD = st.from_regex(r"[a-z]{1,6}( [a-z]{1,6})?", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "phrases", "exclude"),
    [
        ("person", ("person",), ()),
        ("person, dog", ("person", "dog"), ()),
        ("vehicle -bus", ("vehicle",), ("bus",)),
        ("vehicle -double decker, dog", ("vehicle", "dog"), ("double decker",)),
        ("vehicle, -bus, -truck", ("vehicle",), ("bus", "truck")),
        ("  traffic   light ,, cat,cat;dog\n", ("traffic light", "cat", "dog"), ()),
        ("T-shirt", ("T-shirt",), ()),
        ("人、犬", ("人", "犬"), ()),
        ("vehicle –bus", ("vehicle",), ("bus",)),  # an en dash
        ("vehicle \u2212 bus", ("vehicle",), ("bus",)),  # a minus sign
        ("vehicle - bus", ("vehicle",), ("bus",)),
        ("double‑decker", ("double-decker",), ()),  # a hyphen that does not break
        ("person, no dog", ("person",), ("dog",)),
        ("person, Without a dog", ("person",), ("a dog",)),
        ("vehicle without bus", ("vehicle",), ("bus",)),
        ("cat not dog", ("cat",), ("dog",)),
        ("vehicle but not bus, person", ("vehicle", "person"), ("bus",)),
        ("person no dog no cat", ("person",), ("dog", "cat")),
        ("person, !!!", ("person",), ()),
        ("nothing, notebook", ("nothing", "notebook"), ()),
        ("person & dog/cat + bird", ("person", "dog", "cat", "bird"), ()),
    ],
)
def test_examples(text: str, phrases: tuple[str, ...], exclude: tuple[str, ...]) -> None:
    assert parse(text) == Words(phrases, exclude)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("face: 1, person: 0.5, car: .3", (1, 0.5, 0.3)),
        ("face, person:0.5", (1, 0.5)),
        ("face : 1.0, person", ()),
        ("person: 0.2, dog, person: 0.4, person: 1e-1", (0.4, 1)),
        ("人：0.5、犬", (0.5, 1)),
        ("person: 0.5 -face", (0.5,)),
        ("person: 0.5 without hat", (0.5,)),
    ],
)
def test_values_of_phrases(text, values):
    words = parse(text)
    assert words.values == values and list(words.valued) == list(words.phrases)
    assert parse(str(words)) == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("person: 0", "person: expected a mask value over 0, at most 1, got 0"),
        ("person: 1.5", "got 1.5"),
        ("person: nan", "got nan"),
        ("person: high", "expected a number after 'person:'.*got 'high'"),
        ("person: 0.5: 0.3", "expected a number after 'person:'.*got '0.5: 0.3'"),
        ("person:", "expected a number after 'person:'.*got ''"),
        (": 0.5", "expected a phrase before the colon"),
        ("person, -face: 0.5", "an excluded phrase has no value; write -face"),
        ("person, no face: 0.5", "an excluded phrase has no value; write -face"),
        ("person: 0,5", "got 0"),
    ],
)
def test_what_is_no_value_is_refused(text, message):
    with pytest.raises(SpecError, match=message):
        parse(text)


@pytest.mark.parametrize(
    "text", ["", "  \t\n", ",,;", "!!!", "-", "-bus", ", -bus,", "no bus", "—"]
)
def test_a_text_without_a_phrase_is_an_error(text: str) -> None:
    with pytest.raises(SpecError, match="expected words such as"):
        parse(text)


def test_too_many_phrases_are_an_error() -> None:
    parse(",".join(f"w{i}" for i in range(MAX_PHRASES)))
    with pytest.raises(SpecError, match=f"at most {MAX_PHRASES} phrases"):
        parse(",".join(f"w{i}" for i in range(MAX_PHRASES + 1)))


@given(st.text(max_size=200) | st.text(alphabet=" -,;ab\n\u3000", max_size=60))
def test_any_text_gives_words_or_a_spec_error(text: str) -> None:
    try:
        words = parse(text)
    except SpecError as error:
        assert "\n" not in str(error)
        return
    assert words.phrases
    for phrase in (*words.phrases, *words.exclude):
        assert phrase and phrase == phrase.strip() and not phrase.startswith("-")
    assert len(set(words.phrases)) == len(words.phrases)


@given(
    st.lists(WORD, min_size=1, max_size=8, unique=True),
    st.lists(WORD, max_size=8, unique=True),
    st.lists(st.integers(1, 1000), min_size=8, max_size=8),
)
def test_words_read_back_from_their_own_text(
    phrases: list[str], exclude: list[str], thousandths: list[int]
) -> None:
    values = tuple(t / 1000 for t in thousandths[: len(phrases)])
    words = Words(tuple(phrases), tuple(exclude), values if set(values) - {1.0} else ())
    assert parse(str(words)) == words
    if not set(phrases) & set(exclude):
        assert words_of(task_of(words)) == words
        assert task_of(words).text == str(words)
