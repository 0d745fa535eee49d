"""The page of `vcm export --page` in a real browser: files of a plain server, no other host."""

import base64
import functools
import http.server
import os
import re
import shutil
import threading
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pytest
from chromium import PATIENCE, carried, launched
from click.testing import CliRunner

import vcm
from vcm import browser, container, image
from vcm.cli import cli
from vcm.codec.api import Codec
from vcm.codec.runtime.onnx import OnnxDecoder
from vcm.commands import maps

pytestmark = pytest.mark.slow  # a browser, and the exporter

playwright = pytest.importorskip("playwright.sync_api", reason="needs: pip install playwright")
pytest.importorskip("onnxscript", reason="needs: pip install 'vcm[onnx]'")
expect = playwright.expect
REPOSITORY = Path(__file__).parents[2]
GOLDEN = REPOSITORY / "tests" / "golden"
LATENT = """async (bytes) => {
    const ort = await import("./ort/ort.wasm.bundle.min.mjs");
    const { Decoder, describe } = await import("./decode.js");
    const { Networks } = await import("./networks.js");
    ort.env.wasm.numThreads = 1;
    const get = async (name) => {
        return new Uint8Array(await (await fetch(`networks/${name}`)).arrayBuffer());
    };
    window.decoder ??= new Decoder(await Networks.load(ort, get));
    const y = await window.decoder.latent(describe(new Uint8Array(bytes)));
    return [...y.data];
}"""
PIXELS = """(id) => {
    const canvas = document.getElementById(id);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let text = "";
    for (const byte of data) text += String.fromCharCode(byte);
    return [canvas.height, canvas.width, btoa(text)];
}"""


class Coded(NamedTuple):
    """A file, and the page that decodes it."""

    data: bytes
    page: str


@pytest.fixture(scope="module")
def runtime():
    """onnxruntime-web, from where `make test` puts it or VCM_ORT_WEB says."""
    usual = REPOSITORY / ".venv" / browser.INSTALLED
    folder = Path(os.environ.get("VCM_ORT_WEB", usual))
    if not all((folder / name).is_file() for name in browser.RUNTIME_FILES):
        pytest.skip("needs: npm install --prefix .venv onnxruntime-web")
    return folder


@pytest.fixture(scope="module")
def site(runtime, exported, tmp_path_factory):
    """A folder of pages: of the built-in model, of the golden one with a map, and a broken one."""
    root = tmp_path_factory.mktemp("site")
    browser.program(root / "base", runtime)
    shutil.copytree(exported, root / "base" / browser.NETWORKS)
    line = ["export", "--page", "-o", root / "map", "--ort", runtime]
    line += ["--weights", GOLDEN / "v2.safetensors"]
    done = CliRunner().invoke(cli, [str(word) for word in line])
    assert done.exit_code == 0, done.output
    assert "networks/pass_3.onnx" in done.output and "analysis" not in done.output
    shutil.copytree(root / "map", root / "bare", ignore=shutil.ignore_patterns("ort"))
    return root


@pytest.fixture(scope="module")
def address(site):
    """Of a server that knows nothing but files."""
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def window():
    with launched() as browser_:
        yield browser_


@pytest.fixture
def visit(window, address):
    """Opens a page; all that it asks for is files of its server."""
    context, asked = window.new_context(accept_downloads=True), []
    context.set_default_timeout(PATIENCE)
    context.on("request", lambda request: asked.append(request))

    def opened(name):
        page = context.new_page()
        page.goto(f"{address}/{name}/")
        expect(page.locator("#says")).to_have_text("")
        return page

    yield opened
    context.close()
    assert {urlsplit(request.url).netloc for request in asked} <= {"", urlsplit(address).netloc}
    assert {(request.method, request.post_data) for request in asked} == {("GET", None)}


@pytest.fixture(scope="module")
def files(photos, base):
    """Files of every kind, by name."""
    cup, pair = photos["cup"][:, 3:], np.concatenate([photos["person"][:283]] * 2, 1)
    few, mapped = pair[99:104, :7], GOLDEN / "v2.safetensors"
    tiled = Codec.load(side=24), Codec.load(mapped, side=24, bf16=False)
    return {
        "version 1": Coded((GOLDEN / "base-0.1.0.vcm").read_bytes(), "base"),
        "uniform": Coded(vcm.encode(cup, masked(cup, 1), base, quality=50), "base"),
        "tiled": Coded(vcm.encode(pair, masked(pair, 0.1), tiled[0], quality=60), "base"),
        "few pixels": Coded(vcm.encode(few, masked(few, 1), base, quality=50), "base"),
        "map": Coded((GOLDEN / "v2.vcm").read_bytes(), "map"),
        "map, tiled": Coded(vcm.encode(pair, masked(pair, 0.1), tiled[1], quality=70), "map"),
    }


def masked(picture, sigma):
    """A mask of the upper left."""
    roi = np.zeros(picture.shape[:2], np.bool_)
    roi[: len(roi) // 2 + 1, : len(roi[0]) // 2 + 1] = True
    return vcm.RoiMask(roi, sigma, "")


def choose(page, name, data):
    page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": data})


def answered(page, words):
    expect(page.locator("#says")).to_contain_text(words)


def pixels(page, of="picture"):
    """A canvas: (H, W, 3) uint8."""
    height, width, text = page.evaluate(PIXELS, of)
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(height, width, 4)[..., :3]


NAMES = ("version 1", "uniform", "tiled", "few pixels", "map", "map, tiled")


@pytest.mark.parametrize("name", NAMES)
def test_latents_are_equal_bit_for_bit_and_pictures_within_1(name, files, site, visit):
    data, model = files[name]
    header = container.unpack(data).header
    assert header.tile == (24 if "tiled" in name else 0)
    decoder = OnnxDecoder(site / model / browser.NETWORKS)
    page = visit(model)
    expected = decoder.latent(data)
    found = np.array(page.evaluate(LATENT, list(data)), np.int16).reshape(expected.shape)
    assert np.array_equal(found, expected) and expected.any()
    choose(page, "a.vcm", data)
    answered(page, "a.vcm: decoded in")
    assert np.abs(np.subtract(pixels(page), decoder.decode(data), dtype=np.int16)).max() <= 1


def test_the_golden_file_is_what_it_was(visit, files):
    page, golden = visit("map"), np.load(GOLDEN / "v2.npz")
    y_hat = np.array(page.evaluate(LATENT, list(files["map"].data)), np.int16)
    assert np.array_equal(y_hat, golden["y_hat"].ravel())


def test_a_file_that_falls_on_the_page_shows_its_map_and_its_facts(visit, files, tmp_path):
    page, data = visit("map"), files["map"].data
    given = {"dataTransfer": carried(page, "wave.vcm", data)}
    page.locator("main").dispatch_event("drop", given)
    answered(page, "wave.vcm: decoded in")
    told = container.describe(data)
    for value in ("200 x 150 pixels", "1,911", f"{told['bpp']:.4f}", "70", told["fingerprint"],
                  "z 33, y 1824, text 4, map 18", "wave"):  # fmt: skip
        expect(page.locator("#facts").get_by_text(value, exact=True)).to_be_visible()
    found = maps.level_map(data)
    assert page.locator("#levels li").all_inner_texts() == maps.shown(maps.levels_of(found))

    expect(page.locator("#map")).to_be_hidden()
    page.check("#overlay")
    expect(page.locator("#map")).to_be_visible()
    drawn = pixels(page, "map")
    assert drawn.shape == (*found.index.shape, 3)
    colours = [drawn[found.index == level] for level in range(3)]
    assert [len(np.unique(colour, axis=0)) for colour in colours] == [1, 1, 1]
    light = [int(colour[0].sum()) for colour in colours]
    assert light == sorted(light, reverse=True) and len(set(light)) == 3  # the best is the lightest
    over, under = (page.locator(of).bounding_box() for of in ("#map", "#picture"))
    assert over["width"] == pytest.approx(under["width"] / 200 * 208, abs=1)  # 13 latents

    with page.expect_download() as started:
        page.click("#save")
    assert started.value.suggested_filename == "wave.png"
    started.value.save_as(tmp_path / "wave.png")
    assert np.array_equal(image.read(tmp_path / "wave.png"), pixels(page))


def test_what_has_no_map_says_so(visit, files):
    page = visit("base")
    choose(page, "few.vcm", files["few pixels"].data)
    answered(page, "few.vcm: decoded in")
    expect(page.locator("#levels")).to_have_text("No map: all of it has quality 50")
    expect(page.locator("#overlay")).to_be_disabled()


def test_what_goes_wrong_is_a_sentence_in_the_page(visit, files):
    page, good = visit("map"), files["map"].data
    damaged = bytearray(good)
    damaged[500] ^= 1
    for name, data, words in (
        ("a.vcm", bytes(damaged), "a.vcm: the file: the checksum is wrong"),
        ("b.vcm", good[:900], "b.vcm: the file is truncated"),
        ("c.jpg", b"\xff\xd8\xff\xe0 and so on", "c.jpg: expected a .vcm file, got a JPEG picture"),
        ("d.vcm", b"", "d.vcm: the file is empty"),
        ("e.vcm", files["version 1"].data, "e.vcm: the file was made with the model 1e426e97"),
    ):
        choose(page, name, data)
        answered(page, words)
        expect(page.locator("#opened")).to_be_hidden()
    choose(page, "f.vcm", good)
    answered(page, "f.vcm: decoded in")
    expect(page.locator("#opened")).to_be_visible()
    choose(page, "g.vcm", good[:-1])
    answered(page, "g.vcm: the file is truncated")
    expect(page.locator("#opened")).to_be_hidden()


def test_what_the_folder_lacks_is_said(visit, files):
    page = visit("bare")
    choose(page, "a.vcm", files["map"].data)
    answered(page, "onnxruntime-web is missing")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--page"], "npm install onnxruntime-web; --ort names another folder"),
        (["--page", "--ort", "."], "onnxruntime-web is not in '.'"),
        (["--ort", "."], "give --page"),
        (["--page", "--bundle"], "give one of them"),
    ],
)
def test_the_command_says_what_is_missing_before_it_works(line, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, ["export", "-o", "page", *line])
    assert done.exit_code == 2 and re.search(re.escape(words), done.stderr)
    assert not Path("page").exists()


def test_what_npm_installed_is_found_from_a_folder_below(runtime, tmp_path, monkeypatch):
    here = tmp_path / "a" / "b"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    target = tmp_path / browser.INSTALLED
    target.mkdir(parents=True)
    for name in browser.RUNTIME_FILES:
        (target / name).symlink_to(runtime / name)
    sizes = browser.program(Path("page"))
    assert sizes["ort/ort-wasm-simd-threaded.wasm"] == (runtime / name).stat().st_size
