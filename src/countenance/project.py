"""The project folder: people/, models/, renders/, the ledger and ``countenance.toml``; and the user's own folders.

film/
  countenance.toml, countenance-key.json
  ledger.sqlite
  people/NAME/faces.sqlite, template.json (both encrypted), consent.json
  models/LENDER--PERFORMER/PRESET/
  renders/
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from countenance.atomic import output_error
from countenance.config import CONFIG_NAME, PRESETS, ProjectConfig, clean_line, did_you_mean, read_config, write_config
from countenance.errors import ProjectError
from countenance.vault import KEY_NAME, ProjectKey, make_key, open_key

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "NAME_LIMIT",
    "PROJECT_PASSPHRASE",
    "Project",
    "check_person_name",
    "passphrase_from_environment",
    "project_keys_dir",
    "user_cache_dir",
    "user_data_dir",
]

NAME_LIMIT = 64
"""Longest name of a person, in characters and in half the bytes that a file system allows."""

PROJECT_PASSPHRASE = "COUNTENANCE_PROJECT_PASSPHRASE"  # noqa: S105 - the name of a variable
"""The variable that a project's passphrase is taken from."""

# Windows opens a device for these names, with any suffix, in any folder.
_DEVICE_NAMES = re.compile(r"(?i:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])")


def user_cache_dir() -> Path:
    """The folder for what can be fetched again (weights); ``COUNTENANCE_HOME/cache`` where that is set."""
    home = os.environ.get("COUNTENANCE_HOME")
    return Path(home) / "cache" if home else Path(platformdirs.user_cache_dir("countenance"))


def user_data_dir() -> Path:
    """The folder for what is the user's own (signing identity); ``COUNTENANCE_HOME/data`` where that is set."""
    home = os.environ.get("COUNTENANCE_HOME")
    return Path(home) / "data" if home else Path(platformdirs.user_data_dir("countenance"))


def project_keys_dir() -> Path:
    """The folder for the key files of projects; ``COUNTENANCE_KEYS`` where that is set, for a stick or another disk."""
    folder = os.environ.get("COUNTENANCE_KEYS")
    return Path(folder) if folder else user_data_dir() / "keys"


def passphrase_from_environment() -> str:
    """The passphrase in :data:`PROJECT_PASSPHRASE` (raises ProjectError)."""
    given = os.environ.get(PROJECT_PASSPHRASE)
    if given is None:
        raise ProjectError(
            f"The faces of this project open with a passphrase. Put it into {PROJECT_PASSPHRASE}, or run the command "
            "on a terminal, where you are asked."
        )
    return given


def check_person_name(name: str) -> str:
    """A person's name that is safe as a folder: letters and digits of any script, single ``-``, and ``_``.

    Returns:
        The name in Unicode's NFC, so that one spelling is one folder.

    Raises:
        ProjectError: empty, too long, or with anything that could lead out of the folder or be read as two names.
    """
    good = unicodedata.normalize("NFC", name)
    allowed = all(c in "-_" or unicodedata.category(c)[0] in "LM" or unicodedata.category(c) == "Nd" for c in good)
    starts = bool(good) and unicodedata.category(good[0])[0] in "LN"
    if not (allowed and starts) or "--" in good or good.endswith("-"):
        raise ProjectError(
            f"{name[:80]!r} cannot be a person's name here. Use letters, digits, _ and single -, starting with a "
            "letter or digit, for example: vera."
        )
    if len(good) > NAME_LIMIT or len(good.encode("utf-8")) > 2 * NAME_LIMIT:
        raise ProjectError(f"The name {good[:20]}… is too long. Use at most {NAME_LIMIT} characters.")
    if _DEVICE_NAMES.fullmatch(good):
        raise ProjectError(f"{name!r} is the name of a device on some systems. Choose another name.")
    return good


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder that exists, with its settings. Make one by :meth:`create`, :meth:`open` or :meth:`find`.

    ``passphrase`` gives the passphrase of a project that has one, and is asked when a face is first needed.
    """

    root: Path
    config: ProjectConfig
    passphrase: Callable[[], str] = field(default=passphrase_from_environment, repr=False, compare=False)
    _opened: list[ProjectKey] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def create(cls, root: Path, *, title: str | None = None, purpose: str = "film") -> Project:
        """Make a new project folder.

        Args:
            root: the folder; it may exist, but must not be a project yet.
            title: what the work is called; the folder's name when None.
            purpose: one of :data:`countenance.config.PURPOSES`.

        Raises:
            ProjectError: it is a project already, or not a folder.
            ConfigError: the title or purpose cannot be used.
            OutputError: the folder cannot be written.
        """
        root = Path(root).resolve()
        config = ProjectConfig(title=clean_line(title if title is not None else root.name, "title"), purpose=purpose)
        if (root / CONFIG_NAME).exists():
            raise ProjectError(f"{root} is a project already. Open it, or choose another folder.")
        if root.exists() and not root.is_dir():
            raise ProjectError(f"{root} is a file, not a folder. Choose another name.")
        project = cls(root, config)
        try:
            for folder in (root, project.people_dir, root / "models", project.renders_dir):
                # Faces of people are nobody else's business on a shared computer.
                folder.mkdir(mode=0o700 if folder == project.people_dir else 0o777, parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(root, error) from error
        write_config(root / CONFIG_NAME, config)  # last: a folder with it is a complete project
        return project

    @classmethod
    def open(cls, root: Path, *, passphrase: Callable[[], str] = passphrase_from_environment) -> Project:
        """Open a project folder.

        Args:
            root: the folder.
            passphrase: see :class:`Project`; ``COUNTENANCE_PROJECT_PASSPHRASE`` if not given.

        Raises:
            ProjectError: the folder is not a project.
            ConfigError: its settings are wrong.
        """
        root = Path(root).resolve()
        if not (root / CONFIG_NAME).is_file():
            raise ProjectError(f"{root} is not a project: it has no {CONFIG_NAME}. Make one with: countenance new.")
        return cls(root, read_config(root / CONFIG_NAME), passphrase)

    @classmethod
    def find(cls, start: Path | None = None, *, passphrase: Callable[[], str] = passphrase_from_environment) -> Project:
        """The project that a folder lies in: the nearest one upwards with a ``countenance.toml``.

        Args:
            start: where to begin; the working directory when None.
            passphrase: see :meth:`open`.

        Raises:
            ProjectError: there is none.
            ConfigError: its settings are wrong.
        """
        first = Path.cwd() if start is None else Path(start).resolve()
        for folder in (first, *first.parents):
            if (folder / CONFIG_NAME).is_file():
                return cls.open(folder, passphrase=passphrase)
        raise ProjectError(f"{first} is not inside a project. Go to one, or make one with: countenance new.")

    def protect(self, person: str) -> Project:
        """Note a performer as a protected witness, for good; the project with that noted.

        From then on no picture of theirs and no name of footage is written in the clear: there is no training preview,
        renders are not called after their footage, and the ledger does not know the footage's hash.

        Raises:
            ProjectError: not a name, or the person lends a face here, or has a record.
            OutputError: the settings cannot be written.
        """
        name = check_person_name(person)
        if self.consent_path(name).exists() or self.template_path(name).exists():
            raise ProjectError(
                f"{name} lends a face in this project, or has a consent record or an enrolled face in it, so {name} "
                "cannot be a protected witness in it."
            )
        if self.protects(name):
            return self
        config = replace(self.config, protected_witnesses=(*self.config.protected_witnesses, name))
        write_config(self.root / CONFIG_NAME, config)
        return replace(self, config=config)

    def protects(self, person: str) -> bool:
        """Whether a person is a protected witness; upper and lower case are one, as on some disks."""
        noted = {unicodedata.normalize("NFC", name).casefold() for name in self.config.protected_witnesses}
        return unicodedata.normalize("NFC", person).casefold() in noted

    def hides_footage(self, performer: str) -> bool:
        """Whether nothing may say which footage of a performer was used, nor where, when and on what it was filmed."""
        return self.config.purpose == "double" or self.protects(performer)

    def has_record(self, performer: str) -> bool:
        """Whether there is a consent record to compare a performer's faces with; never of a protected witness."""
        return self.consent_path(performer).exists() and not self.protects(performer)

    def key(self) -> ProjectKey:
        """The key that opens the project's face sets and templates; made where the project has none yet.

        Raises:
            ProjectError: the key is not on this computer or not this project's, or the passphrase is wrong.
            OutputError: a new key cannot be written.
        """
        if not self._opened:
            if (self.root / KEY_NAME).exists():
                self._opened.append(open_key(self.root, project_keys_dir(), self.passphrase))
            else:
                self._require_no_locked_faces()
                self._opened.append(make_key(self.root, project_keys_dir()))
        return self._opened[0]

    def _require_no_locked_faces(self) -> None:
        for name in self.people():
            for path in (self.faceset_path(name), self.template_path(name)):
                if path.exists():
                    raise ProjectError(
                        f"{self.root / KEY_NAME} is missing, and {path} does not open without it. Restore it from a "
                        "backup; if there is none, delete what does not open, and extract and enrol again."
                    )

    @property
    def people_dir(self) -> Path:
        """Where the people's folders are."""
        return self.root / "people"

    @property
    def renders_dir(self) -> Path:
        """Where renders go unless told otherwise."""
        return self.root / "renders"

    @property
    def ledger_path(self) -> Path:
        """The ledger's file."""
        return self.root / "ledger.sqlite"

    def person_dir(self, name: str) -> Path:
        """A person's folder; it need not exist.

        Raises:
            ProjectError: not a name (see :func:`check_person_name`).
        """
        return self.people_dir / check_person_name(name)

    def faceset_path(self, name: str) -> Path:
        """A person's face set (raises like :meth:`person_dir`)."""
        return self.person_dir(name) / "faces.sqlite"

    def consent_path(self, name: str) -> Path:
        """A lender's consent record (raises like :meth:`person_dir`)."""
        return self.person_dir(name) / "consent.json"

    def template_path(self, name: str) -> Path:
        """A lender's enrolled face template (raises like :meth:`person_dir`)."""
        return self.person_dir(name) / "template.json"

    def model_dir(self, lender: str, performer: str, preset: str) -> Path:
        """Where the model of a pair is kept; it need not exist.

        Raises:
            ProjectError: not a name, or an unknown preset.
        """
        if preset not in PRESETS:
            hint = did_you_mean(preset, PRESETS)
            raise ProjectError(f"There is no preset {preset!r}{hint}. Choose one of: {', '.join(PRESETS)}.")
        return self.root / "models" / f"{check_person_name(lender)}--{check_person_name(performer)}" / preset

    def people(self) -> list[str]:
        """Names of the people with a folder, sorted.

        Raises:
            ProjectError: the folder cannot be read.
        """
        names = []
        try:
            for folder in self.people_dir.iterdir() if self.people_dir.is_dir() else ():
                if folder.is_dir() and _is_name(folder.name):
                    names.append(unicodedata.normalize("NFC", folder.name))
        except OSError as error:
            raise ProjectError(
                f"Cannot read {self.people_dir} ({error.strerror}). Check the folder's permissions."
            ) from error
        return sorted(names)

    def require_person(self, name: str) -> str:
        """The name of a person who has a folder here.

        Raises:
            ProjectError: nobody of that name, with the nearest name that there is.
        """
        good = check_person_name(name)
        if not self.person_dir(good).is_dir():
            known = self.people()
            people = f"There are: {', '.join(known)}." if known else "There is nobody yet: extract faces first."
            raise ProjectError(f"There is no person {good!r} in this project{did_you_mean(good, known)}. {people}")
        return good


def _is_name(name: str) -> bool:
    try:
        check_person_name(name)
    except ProjectError:
        return False
    return True
