"""The anchors that ffmpeg has: intra pictures of x265, SVT-AV1 and vvenc."""

from vcm.anchors import ffmpeg
from vcm.anchors.base import Image

MULTIPLE = 8  # of kvazaar's sides


class X265:
    """HEVC intra by x265, its psychovisual tools off. Its stream has no container.

    Args:
        pixels: "yuv420p10le" or "yuv444p10le".
    """

    settings: tuple[int, ...] = (47, 43, 39, 35, 31, 27, 23, 19, 15)
    coarsest: int = 51  # QP

    def __init__(self, pixels: str, preset: str = "slower"):
        self.pixels, self.preset = pixels, preset
        self.name = f"x265 {'4:4:4' if '444' in pixels else '4:2:0'}"

    def encode(self, image: Image, setting: int) -> bytes:
        codec = ["-c:v", "libx265", "-preset", self.preset, "-crf", str(setting)]
        codec += self.parameters("aq-mode=0")
        return ffmpeg.encode(image, self.pixels, codec, "hevc")

    @staticmethod
    def parameters(more: str) -> list[str]:
        """Arguments that every use of x265 shares."""
        # info=0: without it the encoder's own text costs 0.7 to 2.3 kB
        common = "log-level=0:info=0:keyint=1:psy-rd=0:psy-rdoq=0:pools=1"
        return ["-x265-params", f"{common}:{more}"]

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return ffmpeg.decode(data, "hevc", height, width)


class Kvazaar:
    """HEVC intra by kvazaar, 4:2:0 in 8 bit."""

    name: str = "kvazaar"
    settings: tuple[int, ...] = (47, 43, 39, 35, 31, 27, 23, 19, 15)
    coarsest: int = 51  # QP

    def __init__(self, preset: str = "slower"):
        self.preset = preset

    def encode(self, image: Image, setting: int, more: str = "") -> bytes:
        parameters = f"preset={self.preset},qp={setting},period=1,info=0,threads=0,owf=0"
        options = ",".join(part for part in (parameters, more) if part)
        codec = ["-c:v", "libkvazaar", "-kvazaar-params", options]
        return ffmpeg.encode(image, "yuv420p", codec, "hevc", multiple=MULTIPLE)

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return ffmpeg.decode(data, "hevc", height, width, MULTIPLE)


class SvtAv1:
    """AV1 intra by SVT-AV1, 4:2:0 in 10 bit, tuned for PSNR."""

    name: str = "SVT-AV1"
    settings: tuple[int, ...] = (63, 56, 49, 42, 35, 28, 21, 14, 8)
    coarsest: int = 63  # QP

    def __init__(self, preset: int = 2):
        self.preset = preset

    def encode(self, image: Image, setting: int) -> bytes:
        codec = ["-c:v", "libsvtav1", "-preset", str(self.preset), "-crf", str(setting)]
        codec += ["-svtav1-params", "tune=1:lp=1:avif=1"]
        return ffmpeg.encode(image, "yuv420p10le", codec, "obu")

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return ffmpeg.decode(data, "obu", height, width)


class Vvenc:
    """VVC intra by vvenc, 4:2:0 in 10 bit (it knows no other), perceptual QP off."""

    name: str = "vvenc"
    settings: tuple[int, ...] = (47, 43, 39, 35, 31, 27, 23, 19, 15)
    coarsest: int = 63  # QP

    def __init__(self, preset: str = "medium"):
        self.preset = preset

    def encode(self, image: Image, setting: int) -> bytes:
        codec = ["-c:v", "libvvenc", "-preset", self.preset, "-qp", str(setting), "-qpa", "0"]
        parameters = "threads=1:intraperiod=1:decodingrefreshtype=idr"
        return ffmpeg.encode(image, "yuv420p10le", [*codec, "-vvenc-params", parameters], "vvc")

    def decode(self, data: bytes, height: int, width: int) -> Image:
        return ffmpeg.decode(data, "vvc", height, width)
