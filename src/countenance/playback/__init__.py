"""Plays a swap live into a page of this machine, without writing it: marked, signed, and dropping what comes too late.

:mod:`.flow` is the way from the gate to the page, :mod:`.player` turns footage into pictures at its own pace
(:mod:`.pace`), :mod:`.channel` hands the newest picture to :mod:`.server`.

There is no device at either end: it reads a file, and it shows a page.
"""

from __future__ import annotations

from countenance.playback.flow import preview
from countenance.playback.player import PreviewReport

__all__ = ["PreviewReport", "preview"]
