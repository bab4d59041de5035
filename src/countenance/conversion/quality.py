"""Three words for people who do not want to turn knobs: what each sets of :class:`ConvertSettings`.

They choose between speed, looks and the size of the file. Nothing that decides whether a face is replaced, veiled or
screened differs between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from countenance.conversion import settings
from countenance.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countenance.conversion.settings import ConvertSettings

__all__ = ["QUALITIES", "settings_for"]

QUALITIES: Mapping[str, Mapping[str, Any]] = {
    "draft": {"blend": "feather", "texture": False, "crf": 23, "preset": "superfast"},
    "good": {},
    "film": {"lookahead_frames": 12, "crf": 10, "preset": "slow"},
}
"""What differs from the defaults, by quality."""


def settings_for(quality: str = "good", **explicit: Any) -> ConvertSettings:
    """The settings of a quality, with what was asked for explicitly in place of the quality's own.

    Args:
        quality: one of :data:`QUALITIES`.
        explicit: knobs by name; those that are None are not asked for.

    Raises:
        ConfigError: there is no such quality or knob, or a value is out of range.
    """
    if quality not in QUALITIES:
        raise ConfigError(f"There is no quality {quality!r}. Choose {', '.join(QUALITIES)}.")
    asked = {name: value for name, value in explicit.items() if value is not None}
    try:
        return settings.ConvertSettings(**{**QUALITIES[quality], **asked})
    except TypeError as error:
        raise ConfigError(f"There is no such knob ({error}). See docs/reference/conversion.md.") from error
