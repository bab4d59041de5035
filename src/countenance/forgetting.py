"""Forgetting a person: everything of theirs in a project that can be destroyed is, and a signed paper says so.

list ▸ ledger ▸ destroy (set aside, overwrite, remove; file by file) ▸ look again ▸ certificate and its ledger row.
What is to go is in the ledger before the first byte is touched, so a destruction that was interrupted goes on from
there when it is run again. Nothing outside the project is touched: a link in the way is an error, and never followed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
import unicodedata
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from countenance import __version__
from countenance.atomic import output_error, sync_folder, write_bytes
from countenance.consent.clock import Clock, format_time, utc_now
from countenance.consent.ledger import Entry, Ledger
from countenance.errors import OutputError, ProjectError
from countenance.project import check_person_name
from countenance.provenance.destruction import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from countenance.project import Project
    from countenance.provenance.identity import SigningIdentity

__all__ = ["KEPT", "Doomed", "Forgotten", "Plan", "forget", "plan_to_forget"]

KEPT = (
    "consent.json",
    "consent-request.json",
    "consent-request.txt",
    "consent-request.html",
    "consent-unwitnessed.json",
)
"""What stays in a person's folder: the papers that say what was agreed. They hold no picture and no measurement."""

_ASIDE = ".countenance-destroying-"
_UNFINISHED = ".countenance-render-"
_BLOCK = 1024 * 1024
_ROW_BYTES = 20_000  # of file names in one row of the ledger, well below its limit


@dataclass(frozen=True, slots=True)
class Doomed:
    """A file to destroy: ``path`` from the project's folder with ``/``, its size and hash, and which file it is."""

    path: str
    bytes: int
    sha256: str
    inode: tuple[int, int]
    modified: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What forgetting a person destroys.

    ``partners`` are the people whose models with this person go as well; ``kept`` what stays, from the project's
    folder. ``going_on`` says that an earlier destruction was interrupted.
    """

    person: str
    files: tuple[Doomed, ...]
    partners: tuple[str, ...]
    kept: tuple[str, ...]
    renders: bool
    going_on: bool


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was destroyed: the certificate's file and SHA-256, the files as it lists them, and what stays."""

    person: str
    certificate: Path
    certificate_sha256: str
    files: tuple[dict[str, Any], ...]
    kept: tuple[str, ...]


def plan_to_forget(project: Project, person: str, *, renders: bool = False) -> Plan:
    """Find everything of a person; nothing is touched.

    Args:
        project: where.
        person: a lender or a performer.
        renders: the person's renders in ``renders/`` too, as the ledger knows them.

    Raises:
        ProjectError: not a name, nobody of that name, nothing left of them, or a link stands in the way.
        LedgerError: the ledger was tampered with.
        OutputError: something cannot be read.
    """
    name = check_person_name(person)
    ledger = Ledger(project.ledger_path)
    ledger.verify()
    entries = ledger.entries()
    begun = _listed(entries, name)
    if not begun:
        project.require_person(name)
    found = _Search(project, name, entries, renders=renders)
    files = tuple(_facts(project.root, path) for path in found.files if not path.name.startswith(_ASIDE))
    if not files and not begun and not any(path.name.startswith(_ASIDE) for path in found.files):
        raise ProjectError(f"There is nothing of {name!r} left to destroy in {project.root}.")
    return Plan(name, files, tuple(sorted(found.partners)), tuple(found.kept), renders, bool(begun))


def forget(
    project: Project, person: str, identity: SigningIdentity, *, renders: bool = False, clock: Clock = utc_now
) -> Forgotten:
    """Destroy everything of a person, and write a signed certificate of it into ``certificates/``.

    Run again after an interruption, it goes on. Stop trainings and renders of this person first: what they write
    in the meantime is found at the end, and then there is no certificate.

    Args:
        project: where.
        person: a lender or a performer.
        identity: who signs the certificate.
        renders: see :func:`plan_to_forget`.
        clock: gives the time.

    Raises:
        ProjectError, LedgerError: see :func:`plan_to_forget`; nothing was destroyed.
        OutputError: a file cannot be destroyed, or was written in the meantime; run it again.
        MarkError: the certificate cannot be signed; the destruction is done, run it again.
    """
    plan = plan_to_forget(project, person, renders=renders)
    ledger = Ledger(project.ledger_path, clock=clock)
    for part in _chunks(plan.files):
        rows = [{"path": one.path, "bytes": one.bytes, "sha256": one.sha256} for one in part]
        ledger.append("destruction", {"person": plan.person, "stage": "listed", "files": rows})
    how = _destroy(project, plan)
    left = _Search(project, plan.person, ledger.entries(), renders=renders)
    if left.files:
        raise OutputError(
            f"{left.files[0]} was written while {plan.person} was being forgotten. Stop the training or other work "
            "that does this, and run the same command again."
        )
    done = _certify(project, plan, how, identity, clock)
    for folder in left.folders:  # the deepest first; one with papers in it stays
        with suppress(OSError):
            folder.rmdir()
    return done


class _Search:
    """Every file of a person in a project, with nothing opened and no link followed."""

    def __init__(self, project: Project, name: str, entries: Sequence[Entry], *, renders: bool) -> None:
        self.files: list[Path] = []
        self.folders: list[Path] = []
        self.kept: list[str] = []
        self.partners: set[str] = set()
        self._root, self._name = project.root, name
        own = project.people_dir / name
        self._own = own.stat() if own.is_dir() else None
        for folder in self._children(project.people_dir):
            if self._is_me(folder.name, project.people_dir):
                self._walk(folder, keep=KEPT)
        for folder in self._children(project.root / "models"):
            sides = folder.name.split("--")
            mine = [self._is_me(side, project.people_dir) for side in sides]
            if len(sides) == 2 and any(mine):
                self.partners |= {side for side, me in zip(sides, mine, strict=True) if not me}
                self._walk(folder)
        self._of_renders(project.renders_dir, entries, destroy=renders)

    def _is_me(self, name: str, people: Path) -> bool:
        """By its one spelling, or where the disk takes two spellings for one (upper and lower case)."""
        if unicodedata.normalize("NFC", name) == self._name:
            return True
        with suppress(OSError):
            return self._own is not None and os.path.samestat((people / name).lstat(), self._own)
        return False

    def _children(self, folder: Path) -> list[Path]:
        try:
            if folder.is_symlink():
                raise _in_the_way(folder)
            return sorted(folder.iterdir()) if folder.is_dir() else []
        except OSError as error:
            raise output_error(folder, error) from error

    def _walk(self, top: Path, keep: Sequence[str] = ()) -> None:
        if top.is_symlink() or not top.is_dir():
            raise _in_the_way(top)
        for path in self._children(top):
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                self._walk(path)
            elif not stat.S_ISREG(mode):
                raise _in_the_way(path)
            elif path.name in keep:
                self.kept.append(self._relative(path))
            else:
                self.files.append(path)
        self.folders.append(top)

    def _of_renders(self, folder: Path, entries: Sequence[Entry], *, destroy: bool) -> None:
        if folder.is_symlink() and not destroy:  # renders on another disk: they stay, and so does what is beside them
            self.kept.append(self._relative(folder))
            return
        for path in self._children(folder):
            if path.name.startswith(_UNFINISHED) and self._may_be_mine(path):
                self._walk(path)
        hashes = {
            str(entry.facts.get("render_sha256"))
            for entry in entries
            if entry.kind == "render" and self._name in (entry.facts.get("lender"), entry.facts.get("performer"))
        }
        for path in self._regular(folder) if hashes else ():
            aside = path.name.startswith(_ASIDE)
            if not aside and hash_of(path) not in hashes:
                continue
            beside = path.with_suffix(".c2pa")
            for one in (path, beside) if beside.is_file() and not beside.is_symlink() else (path,):
                if destroy or aside:
                    self.files.append(one)
                else:
                    self.kept.append(self._relative(one))

    def _regular(self, folder: Path) -> Iterator[Path]:
        """Ordinary files below a folder, links and the private folders of unfinished renders left out."""
        for path in self._children(folder):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                yield path
            elif stat.S_ISDIR(mode) and not path.name.startswith(_UNFINISHED):
                yield from self._regular(path)

    def _may_be_mine(self, folder: Path) -> bool:
        """Whether an interrupted render is of this person; one that does not say is."""
        try:
            text = (folder / "state.json").read_text("utf-8").partition("\n")[2]
            return self._name in json.loads(json.loads(text)["made_from"]["people"])
        except (OSError, ValueError, KeyError, TypeError):
            return True

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _in_the_way(path: Path) -> ProjectError:
    return ProjectError(
        f"{path} is a link or no ordinary file, and what it leads to would stay. Nothing was destroyed. Move what it "
        "leads to into the project or destroy it yourself, remove the link, and run the same command again."
    )


def hash_of(path: Path) -> str:
    """SHA-256 of a file that is no link, hex (raises OutputError)."""
    try:
        with os.fdopen(_open(path, os.O_RDONLY), "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise output_error(path, error) from error


def _facts(root: Path, path: Path) -> Doomed:
    digest = hash_of(path)
    now = path.lstat()
    inside = path.relative_to(root).as_posix()
    return Doomed(inside, now.st_size, digest, (now.st_dev, now.st_ino), now.st_mtime_ns)


def _chunks(files: Sequence[Doomed]) -> Iterator[list[Doomed]]:
    part: list[Doomed] = []
    size = 0
    for one in files:
        length = len(json.dumps(one.path)) + 200
        if part and size + length > _ROW_BYTES:
            yield part
            part, size = [], 0
        part.append(one)
        size += length
    if part:
        yield part


def _listed(entries: Sequence[Entry], person: str) -> dict[str, dict[str, Any]]:
    """What the ledger says is being destroyed of a person, by path; empty after the last certificate."""
    listed: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.kind == "destruction" and entry.facts.get("person") == person:
            if entry.facts.get("stage") == "done":
                listed = {}
            else:
                here = {"row": entry.hash, "begun": entry.time}
                listed |= {str(one["path"]): {**one, **here} for one in entry.facts.get("files", ())}
    return listed


def _destroy(project: Project, plan: Plan) -> dict[str, str]:
    """Destroy the files of a plan, and what an interruption left set aside. Returns how, by path."""
    names = Counter(one.inode for one in plan.files)  # a checkpoint and the one before it can be one file
    touched: set[tuple[int, int]] = set()
    how = {}
    for one in plan.files:
        path = project.root / one.path
        try:
            now = path.lstat()
        except OSError as error:
            raise output_error(path, error) from error
        same = (now.st_dev, now.st_ino) == one.inode
        if not same or (one.inode not in touched and (now.st_size, now.st_mtime_ns) != (one.bytes, one.modified)):
            raise OutputError(
                f"{path} was changed while {plan.person} was being forgotten. Stop the training or other work that "
                "does this, and run the same command again."
            )
        how[one.path] = _destroy_file(path, names_inside=names[one.inode])
        names[one.inode] -= 1
        touched.add(one.inode)
    entries = Ledger(project.ledger_path).entries()
    for path in _Search(project, plan.person, entries, renders=plan.renders).files:
        if path.name.startswith(_ASIDE):
            _destroy_file(path, names_inside=1)
    return how


def _destroy_file(path: Path, *, names_inside: int) -> str:
    """Set a file aside, overwrite it with noise, and remove it. Returns one of ``destruction.HOW``.

    Set aside first, so that no half overwritten file ever stands under its own name. A file that has a further name
    outside of what is destroyed is only removed: overwriting it would reach outside the project.
    """
    aside = path if path.name.startswith(_ASIDE) else path.with_name(f"{_ASIDE}{secrets.token_hex(8)}")
    try:
        path.rename(aside)
        with os.fdopen(_open(aside, os.O_RDWR), "r+b", buffering=0) as stream:
            facts = os.fstat(stream.fileno())
            alone = facts.st_nlink <= names_inside
            if alone:
                for start in range(0, facts.st_size, _BLOCK):
                    stream.write(os.urandom(min(_BLOCK, facts.st_size - start)))
                os.fsync(stream.fileno())
        aside.unlink()
    except OSError as error:
        raise output_error(path, error) from error
    sync_folder(path.parent)
    return "overwritten" if alone else "unlinked"


def _open(path: Path, flags: int) -> int:
    """Open an ordinary file and no link, not even one that was put there a moment ago; never wait for a pipe."""
    handle = os.open(
        path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(f"{path} is no ordinary file")
    return handle


def _certify(project: Project, plan: Plan, how: dict[str, str], identity: SigningIdentity, clock: Clock) -> Forgotten:
    """Sign the certificate and enter it; file and row appear together."""
    ledger = Ledger(project.ledger_path, clock=clock)
    listed = _listed(ledger.entries(), plan.person)
    files = tuple(
        {"path": path, "bytes": one["bytes"], "sha256": one["sha256"], "how": how.get(path, "gone")}
        for path, one in sorted(listed.items())
    )
    rows = list(listed.values())
    now = clock()
    stated = {
        "person": plan.person,
        "title": project.config.title,
        "time": format_time(now),
        "begun": min((str(one["begun"]) for one in rows), default=format_time(now)),
        "ledger_entry": rows[-1]["row"] if rows else ledger.entries()[-1].hash,
        "files": list(files),
        "kept": list(plan.kept),
        "renders": plan.renders,
        "program": f"countenance {__version__}",
    }
    data = make_certificate(stated, identity)
    digest = hashlib.sha256(data).hexdigest()
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    path = project.root / "certificates" / f"destruction-{plan.person}-{stamp}.json"
    with ledger.exclusive() as book:
        facts = {"person": plan.person, "stage": "done", "files": len(files), "certificate_sha256": digest}
        book.append("destruction", facts)
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise output_error(path, error) from error
        write_bytes(path, data)
    return Forgotten(plan.person, path, digest, files, plan.kept)
