"""Pictures for people: outlines, heat maps, captions, contact sheets."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from vcm.vision.base import Objects, unpacked

Image = NDArray[np.uint8]  # (H, W, 3) RGB
YELLOW = (255, 210, 0)
INK, PAPER = (30, 30, 30), (255, 255, 255)
TALLEST = 2  # rows per column of a picture on a sheet; more would need a long screen


def outlined(image: Image, roi: NDArray[np.bool_], colour: tuple[int, int, int] = YELLOW) -> Image:
    """The picture with the border of the ROI drawn on it; roi: (H, W) bool."""
    contours, _ = cv2.findContours(roi.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    thickness = max(2, round(max(image.shape[:2]) / 300))
    canvas = np.ascontiguousarray(image).copy()
    cv2.drawContours(canvas, contours, -1, INK, thickness + 2)
    cv2.drawContours(canvas, contours, -1, colour, thickness)
    return canvas


def heat(image: Image, similarity: NDArray[np.float32]) -> Image:
    """The picture in grey under a colour map of the similarity; similarity: (H, W) in [0, 1]."""
    level = (similarity.clip(0, 1) * 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(level, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(colours, 0.6, grey, 0.4, 0).astype(np.uint8)


def grey(values: NDArray[Any]) -> Image:
    """A mask, (H, W) bool or floating point in [0, 1], as a picture from 0 to 255."""
    level = (255 * values.astype(np.float32)).round().astype(np.uint8)
    return np.repeat(level[..., None], 3, axis=2)


def labelled(
    objects: Objects, names: Sequence[str], confidence: float = 0.25
) -> list[tuple[list[float], str]]:
    """Boxes and labels, for `boxed`, of what a detector is rather sure of."""
    sure = objects.above(confidence)
    found = zip(sure.boxes.tolist(), sure.labels.tolist(), sure.scores.tolist(), strict=True)
    return [(box, f"{names[label]} {score:.2f}") for box, label, score in found]


def instances(image: Image, objects: Objects, confidence: float = 0.25) -> Image:
    """The picture with the outlines of the masks that a detector is rather sure of."""
    for coded in objects.above(confidence).masks or []:
        image = outlined(image, unpacked(coded))
    return image


def classes(image: Image, labels: NDArray[np.uint8], names: Sequence[str]) -> Image:
    """The picture tinted by class, background left as it is, with a legend of what is there.

    Args:
        labels: (H, W) uint8, indices of names, 0 the background.
    """
    hues = (np.arange(256) * 47 % 180).astype(np.uint8)  # neighbouring labels look different
    palette = np.stack([hues, np.full(256, 200, np.uint8), np.full(256, 230, np.uint8)], 1)
    colours = cv2.cvtColor(palette[None], cv2.COLOR_HSV2RGB)[0]
    mixed = (0.5 * image + 0.5 * colours[labels]).astype(np.uint8)
    canvas = Pillow.fromarray(np.where(labels[..., None] > 0, mixed, image))
    draw = ImageDraw.Draw(canvas)
    size = max(12, round(max(image.shape[:2]) / 36))
    font = ImageFont.load_default(size)
    present = [int(i) for i in np.unique(labels) if i]
    for row, label in enumerate(reversed(present), 1):
        at = (2 * size, image.shape[0] - 4 - row * round(1.4 * size))
        left, top, right, bottom = draw.textbbox(at, names[label], font=font)
        draw.rectangle((4, top - 2, right + 4, bottom + 2), fill=INK)
        draw.rectangle((6, top, left - 4, bottom), fill=tuple(colours[label].tolist()))
        draw.text(at, names[label], fill=PAPER, font=font)
    return np.asarray(canvas)


def boxed(
    image: Image,
    boxes: Sequence[tuple[Sequence[float], str]],
    colour: tuple[int, int, int] = YELLOW,
    low: bool = False,
) -> Image:
    """The picture with labelled boxes; each box is x1, y1, x2, y2 in pixels.

    Args:
        low: labels at the lower edges, where those of another call do not hide them.
    """
    canvas = Pillow.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    width = max(2, round(max(image.shape[:2]) / 300))
    size = max(12, round(max(image.shape[:2]) / 40))
    font = ImageFont.load_default(size)
    for corners, label in boxes:
        draw.rectangle(tuple(corners), outline=colour, width=width)
        top = corners[3] - width - round(1.4 * size) if low else corners[1] + width
        at = (corners[0] + width, top)
        draw.rectangle(draw.textbbox(at, label, font=font), fill=INK)
        draw.text(at, label, fill=colour, font=font)
    return np.asarray(canvas)


def within(image: Image, side: int) -> Image:
    """The picture, made smaller if a side is longer than `side` pixels."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    rows, columns = (max(1, round(n * scale)) for n in image.shape[:2])
    smaller = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    return smaller.astype(np.uint8)


def captioned(image: Image, lines: Sequence[str], width: int) -> Image:
    """The picture scaled to `width` pixels, less if it is tall, with lines of text under it."""
    rows, columns = image.shape[:2]
    scale = min(width / columns, TALLEST * width / rows)
    shape = max(1, round(columns * scale)), max(1, round(rows * scale))
    filtering = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    scaled = cv2.resize(image, shape, interpolation=filtering)
    size = max(13, width // 28)
    font, row = ImageFont.load_default(size), round(size * 1.35)
    wrapped = [part for line in lines for part in _wrapped(line, font, width - 8)]
    height = shape[1]
    canvas = Pillow.new("RGB", (width, height + row * len(wrapped) + row // 2), PAPER)
    canvas.paste(Pillow.fromarray(scaled.astype(np.uint8)), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for i, line in enumerate(wrapped):
        draw.text((4, height + row // 4 + i * row), line, fill=INK, font=font)
    return np.asarray(canvas)


def _wrapped(
    line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int
) -> list[str]:
    """The line in pieces of at most `width` pixels, broken between words."""
    pieces = [""]
    for word in line.split():
        longer = f"{pieces[-1]} {word}".strip()
        if font.getlength(longer) <= width or not pieces[-1]:
            pieces[-1] = longer
        else:
            pieces.append(word)
    return pieces


def sheet(rows: Sequence[Sequence[Image]], gap: int = 12) -> Image:
    """Rows of pictures on white paper."""
    height = sum(max(p.shape[0] for p in row) + gap for row in rows) + gap
    width = max(sum(p.shape[1] + gap for p in row) for row in rows) + gap
    canvas = np.full((height, width, 3), 255, np.uint8)
    top = gap
    for row in rows:
        left = gap
        for picture in row:
            canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
            left += picture.shape[1] + gap
        top += max(p.shape[0] for p in row) + gap
    return canvas


def closest_square(roi: NDArray[np.bool_], share: float = 0.33) -> tuple[slice, slice]:
    """A window over the middle of the ROI, `share` of the picture's short side: for zooms."""
    side = max(1, round(min(roi.shape) * share))
    points = np.argwhere(roi if roi.any() else ~roi)
    centre = np.median(points, axis=0).astype(int)
    top, left = ((c - side // 2).clip(0, n - side) for c, n in zip(centre, roi.shape, strict=True))
    return slice(top, top + side), slice(left, left + side)
