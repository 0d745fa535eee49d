"""YUV4MPEG2: uncompressed frames that most video tools read."""

from collections.abc import Iterable
from pathlib import Path

from vcm.files import drafted
from vcm.video.clip import Clip, Frame, Image
from vcm.video.source import library


def write_y4m(frames: Iterable[Frame], clip: Clip, output: Path) -> int:
    """Write 4:4:4 samples of 8 bits, BT.601, at the clip's rate; returns the number of frames.

    Raises:
        OutputError: if the disk fails.
        MissingExtra: if PyAV is not installed.
    """
    rate, aspect, count = clip.rate, clip.aspect, 0
    with drafted(output) as write:
        write(
            f"YUV4MPEG2 W{clip.width} H{clip.height} F{rate.numerator}:{rate.denominator} Ip "
            f"A{aspect.numerator}:{aspect.denominator} C444\n".encode()
        )
        for frame in frames:
            write(b"FRAME\n" + _planes(frame.image))
            count += 1
    return count


def _planes(image: Image) -> bytes:
    """The planes of Y, Cb and Cr, one after the other."""
    from av.video.reformatter import ColorRange, Colorspace, Interpolation

    exact = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    frame = library().VideoFrame.from_ndarray(image, format="rgb24")
    made = frame.reformat(format="yuv444p", interpolation=exact, dst_colorspace=Colorspace.ITU601,
                          dst_color_range=ColorRange.MPEG)  # fmt: skip
    samples: bytes = made.to_ndarray().tobytes()
    return samples
