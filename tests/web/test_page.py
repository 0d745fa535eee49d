"""The page of `vcm serve` in a real browser: its own server, no other host."""

from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from chromium import PATIENCE, carried, launched

from vcm import image, pipeline
from vcm.codec.api import Codec

pytestmark = pytest.mark.slow  # a browser

pytest.importorskip("gradio", reason="needs: pip install 'vcm[web]'")
playwright = pytest.importorskip("playwright.sync_api", reason="needs: pip install playwright")
expect = playwright.expect


@pytest.fixture(scope="module")
def browser():
    """A browser of the system, without a window."""
    with launched() as browser:
        yield browser


@pytest.fixture
def visit(browser, address):
    """Opens the page as a new visitor; whatever the page requests comes from its server."""
    contexts, hosts = [], set()

    def opened():
        context = browser.new_context(accept_downloads=True)
        context.set_default_timeout(PATIENCE)
        context.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        contexts.append(context)
        page = context.new_page()
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert hosts - {""} == {urlsplit(address).netloc}  # "": data and blobs of the page itself


@pytest.fixture(scope="module")
def files(photos, tmp_path_factory):
    """Photos and what is none, by name."""
    folder = tmp_path_factory.mktemp("photos")
    for name, photo in photos.items():
        image.write(folder / f"{name}.png", photo)
    image.write(folder / "small.png", photos["person"][::2, ::2])
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    image.write(folder / "large.png", noise)  # 1.5 MB
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    (folder / "broken.vcm").write_bytes(b"no .vcm")
    return {path.name: path for path in folder.iterdir()}


def choose(page, place, *paths):
    page.set_input_files(f"{place} input[type=file]", list(paths))


def download(page, folder):
    with page.expect_download() as started:
        page.click("#download")
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def answered(page, words):
    """Wait for words of the page, and for the end of the request that they came with.

    gradio shows results before it closes their request; a touch in between may be lost.
    """
    says = page.locator("#says")
    expect(says).to_contain_text(words)
    expect(says.get_by_test_id("status-tracker").and_(page.locator(".hide"))).to_be_attached()


def tab(page, name):
    page.get_by_role("tab", name=name).click()


def drop(page, place, path):
    """Let a file fall on a place, as a hand does with a mouse."""
    given = {"dataTransfer": carried(page, path.name, path.read_bytes())}
    page.locator(f"{place} button").first.dispatch_event("drop", given)


def test_from_a_photo_and_words_to_a_file_that_decodes(visit, files, photos, tmp_path):
    page = visit()
    size = page.locator("#numbers td").nth(1)  # of the file, in bytes
    page.fill("#words textarea", "giraffe")
    choose(page, "#photo", files["cup.png"])
    answered(page, "match nothing")
    for place in ("#region", "#heat", "#before", "#after"):
        expect(page.locator(f"{place} img")).to_be_visible()
    expect(page.locator("#both img")).to_have_count(2)

    expect(page.locator("#both")).to_contain_text("in as many bytes")
    evenly = size.inner_text()
    page.fill("#words textarea", "cup")
    page.press("#words textarea", "Enter")
    answered(page, "The region covers")
    expect(size).not_to_have_text(evenly)

    starved = size.inner_text()
    page.locator("#sigma input[type=range]").focus()
    page.keyboard.press("End")  # sigma 1
    expect(size).not_to_have_text(starved)
    expect(size).to_have_text(evenly)  # as before: all of it matters alike

    path = download(page, tmp_path)
    assert path.name == "cup.vcm" and f"{path.stat().st_size:,}" == evenly
    decoded = pipeline.decode(path.read_bytes(), Codec.load())
    assert decoded.shape == photos["cup"].shape

    tab(page, "Open a .vcm")
    drop(page, "#vcm-file", path)
    expect(page.locator("#open-says")).to_contain_text("cup.vcm: 300 x 200 pixels")
    expect(page.locator("#opened img")).to_be_visible()


def test_whoever_has_no_photo_takes_an_example(visit):
    page = visit()
    page.locator("#examples button", has_text="cat").click()
    answered(page, "The region covers")
    expect(page.locator("#words textarea")).to_have_value("cat")
    page.locator("#photo").get_by_label("Remove Image").click()
    answered(page, "Drop a photo")
    expect(page.locator("#download")).to_be_hidden()


def test_what_goes_wrong_is_a_sentence_in_the_page(visit, files):
    page = visit()
    choose(page, "#photo", files["large.png"])
    expect(page.locator("body")).to_contain_text("maximum allowed size")
    choose(page, "#photo", files["broken.png"])
    answered(page, "broken.png")
    choose(page, "#photo", files["person.png"])
    answered(page, "The region covers")
    page.fill("#words textarea", "cupp")
    page.press("#words textarea", "Enter")
    answered(page, "unknown word 'cupp'")
    expect(page.locator("#download")).to_be_hidden()
    tab(page, "Open a .vcm")
    choose(page, "#vcm-file", files["broken.vcm"])
    expect(page.locator("#open-says")).to_contain_text("That does not work")
    tab(page, "Task")
    page.click("#measure")
    expect(page.locator("#study-says")).to_contain_text("Choose 1 to 24 photos")


def test_two_visitors_at_once_get_what_is_theirs(visit, files, photos, tmp_path):
    pages = {name: visit() for name in ("cat", "cup")}
    for name, page in pages.items():
        page.fill("#words textarea", name)
        choose(page, "#photo", files[f"{name}.png"])
    for name, page in pages.items():
        answered(page, "The region covers")
        decoded = pipeline.decode(download(page, tmp_path).read_bytes(), Codec.load())
        assert decoded.shape == photos[name].shape


def test_a_task_over_photos_draws_rate_and_accuracy(visit, files, tmp_path):
    page = visit()
    tab(page, "Task")
    choose(page, "#photos", files["cup.png"], files["small.png"])
    page.locator("#codecs").get_by_label("vcm:sigma=1").uncheck()
    page.click("#measure")
    expect(page.locator("#plot img")).to_be_visible()
    expect(page.locator("#study-says")).to_contain_text("Done")
    expect(page.locator("#study-says")).to_contain_text("from one network")
    with page.expect_download() as started:
        page.click("#report")
    report = Path(started.value.path()).read_text(encoding="utf-8")
    assert "JPEG" in report and "https://" not in report.split("<body")[0]
