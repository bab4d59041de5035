"""``countenance.toml``: the few settings that a project keeps, read strictly.

An unknown key is an error and not a silent default: a misspelt ``purpose`` would otherwise ask a lender for the wrong
consent.
"""

from __future__ import annotations

import difflib
import json
import tomllib
import unicodedata
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from countenance.errors import ConfigError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = [
    "CONFIG_NAME",
    "DEVICES",
    "PRESETS",
    "PURPOSES",
    "STATUS_MAX_AGE_DAYS",
    "TITLE_LIMIT",
    "ProjectConfig",
    "clean_line",
    "did_you_mean",
    "read_config",
    "write_config",
]

CONFIG_NAME = "countenance.toml"
"""The file that makes a folder a project."""

PURPOSES: tuple[str, ...] = ("double", "film", "dubbing", "research")
"""What a face may be lent for: face double of a protected witness, film and VFX, dubbing, research. A closed list."""

PRESETS: tuple[str, ...] = ("swift", "classic", "cinema-256", "cinema-512")
"""Names of the training presets."""

DEVICES: tuple[str, ...] = ("auto", "cpu", "cuda", "mps")
"""Where training and swapping may run."""

TITLE_LIMIT = 200
"""Longest title in characters."""

STATUS_MAX_AGE_DAYS = 90
"""Oldest status list that a project can accept."""

_RARE = ("status_list", "status_max_age_days", "protected_witnesses")  # written only where they were set
_SIZE_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class ProjectConfig:
    """What ``countenance.toml`` says.

    ``title`` and ``purpose`` (one of :data:`PURPOSES`) are what lenders consent to: change either and the records
    that were signed no longer cover the work. ``preset`` and ``device`` are defaults of ``train`` and ``swap``.
    ``status_list`` is a file (from the project's folder) or https address to take the status list of revocations from,
    in place of the address in the records; one older than ``status_max_age_days`` is refused.
    ``protected_witnesses`` are names of performers of whom the project keeps nothing in the clear that identifies them.

    Raises:
        ConfigError: a value out of range.
    """

    title: str
    purpose: str = "film"
    preset: str = "swift"
    device: str = "auto"
    status_list: str = ""
    status_max_age_days: int = 7
    protected_witnesses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "status_max_age_days":
                if type(value) is not int or not 1 <= value <= STATUS_MAX_AGE_DAYS:
                    raise ConfigError(
                        f"{field.name} must be a whole number from 1 to {STATUS_MAX_AGE_DAYS}, not {value!r}."
                    )
            elif field.name == "protected_witnesses":
                if not isinstance(value, tuple) or not all(isinstance(name, str) for name in value):
                    raise ConfigError(f'{field.name} must be a list of names, such as ["ivan"], not {value!r}.')
            elif not isinstance(value, str):
                raise ConfigError(f"{field.name} must be a text, not {value!r}. Put it in quotation marks.")
        if clean_line(self.title, "title") != self.title:
            raise ConfigError("title has spaces at an end, doubled or unusual ones. Write it with single spaces.")
        if "://" in self.status_list and not self.status_list.startswith("https://"):
            raise ConfigError(
                f"status_list = {self.status_list!r} is not an https address. Give one, or a file's name."
            )
        for name, allowed in (("purpose", PURPOSES), ("preset", PRESETS), ("device", DEVICES)):
            value = getattr(self, name)
            if value not in allowed:
                hint = did_you_mean(value, allowed)
                raise ConfigError(f"{name} = {value!r} is not known{hint}. Choose one of: {', '.join(allowed)}.")


def clean_line(text: str, what: str, *, limit: int = TITLE_LIMIT) -> str:
    """One line of text a person reads before signing: NFC, single spaces, nothing that is not shown as it is stored.

    Args:
        text: what was given.
        what: its name in the message.
        limit: longest length in characters.

    Raises:
        ConfigError: empty, too long, or with control or direction-changing characters, which could make the text
            on the screen another one than the text that is signed.
    """
    line = " ".join(unicodedata.normalize("NFC", text).split())
    if not line:
        raise ConfigError(f"The {what} is empty. Give a short text that people will recognise.")
    if len(line) > limit:
        raise ConfigError(f"The {what} is longer than {limit} characters. Give a shorter one.")
    for character in line:
        category = unicodedata.category(character)
        joiner = character in "\u200c\u200d"  # scripts such as Persian and Malayalam need them inside words
        if category in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") or (category == "Cf" and not joiner):
            raise ConfigError(
                f"The {what} contains the invisible character U+{ord(character):04X}. Type it again without it."
            )
    return line


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """``" (did you mean 'title'?)"`` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def read_config(path: Path) -> ProjectConfig:
    """Read a project's settings.

    Raises:
        ConfigError: the file cannot be read, is not TOML, has an unknown key or a value out of range.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_SIZE_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"Cannot read {path} ({error.strerror}). Check the file and its permissions.") from error
    if len(data) > _SIZE_LIMIT:
        raise ConfigError(f"{path} is larger than {_SIZE_LIMIT // 1024} KiB. It should hold a few lines only.")
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}. Correct that line.") from error
    return _from_table(table, path)


def _from_table(table: dict[str, Any], path: Path) -> ProjectConfig:
    known = [field.name for field in fields(ProjectConfig)]
    for key in table:
        if key not in known:
            hint = did_you_mean(key, known)
            raise ConfigError(f"{path} has the unknown key {key!r}{hint}. Known keys: {', '.join(known)}.")
    if "title" not in table:
        raise ConfigError(f'{path} has no title. Add a line such as: title = "My film".')
    if isinstance(table.get("protected_witnesses"), list):
        table = {**table, "protected_witnesses": tuple(table["protected_witnesses"])}
    try:
        return ProjectConfig(**table)
    except InputError as error:
        raise ConfigError(f"{path}: {error}") from error


def write_config(path: Path, config: ProjectConfig) -> None:
    """Write a project's settings, with a word on each.

    Raises:
        OutputError: it cannot be written; what was there before is still there.
    """
    from countenance.atomic import write_bytes

    notes = {
        "title": "Lenders consent to this title and purpose; changing either needs new consent records.",
        "purpose": f"one of: {', '.join(PURPOSES)}",
        "preset": f"default of `train`, one of: {', '.join(PRESETS)}",
        "device": f"default of `train` and `swap`, one of: {', '.join(DEVICES)}",
        "status_list": "file or https address of the status list of revocations, in place of the records' own",
        "status_max_age_days": "a status list older than this is refused",
        "protected_witnesses": "performers of whom nothing that identifies them is kept in the clear",
    }
    lines = ["# A Countenance project. An unknown key is an error."]
    for field in fields(config):
        # A JSON string without control characters is a TOML basic string.
        if field.name in _RARE and getattr(config, field.name) == field.default:
            continue
        value = json.dumps(getattr(config, field.name), ensure_ascii=False)
        lines += [f"# {notes[field.name]}", f"{field.name} = {value}"]
    write_bytes(path, ("\n".join(lines) + "\n").encode("utf-8"))
