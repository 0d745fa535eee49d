"""Clips: frames with their times, masks that follow what words name, files that players open."""

from vcm.video.clip import Clip, Frame, Span
from vcm.video.reader import open
from vcm.video.source import Raw

__all__ = ["Clip", "Frame", "Raw", "Span", "open"]
