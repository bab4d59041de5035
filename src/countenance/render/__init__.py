"""From footage to marked, signed, logged outputs: the one way in which a swap leaves the program.

:mod:`.flow` is that way, :mod:`.job` its steps, :mod:`.review` the clip of what must be looked at again,
:mod:`.patches` the painted faces apart from the footage.
"""

from __future__ import annotations

from countenance.render.flow import LoadsSwapper, render
from countenance.render.job import SCREENS
from countenance.render.outputs import Extras, PatchesReport, SwapReport

__all__ = ["SCREENS", "Extras", "LoadsSwapper", "PatchesReport", "SwapReport", "render"]
