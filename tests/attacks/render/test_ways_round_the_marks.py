"""Attempts to get a swapped face without its marks, or to make an output destroy something."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
from render_case import COUNT, names, rendered, renders_logged

from countenance.api import consent_revoke
from countenance.consent.ledger import Book
from countenance.errors import ConsentError, LedgerError, MarkError, NoFaceError, OutputError
from countenance.project import Project


@pytest.fixture
def strict(strict_project: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose lender requires the label."""
    monkeypatch.setenv("COUNTENANCE_HOME", str(home))
    shutil.copytree(strict_project, tmp_path / "strict")
    return Project.open(tmp_path / "strict")


def _clean(project: Project, tmp_path: Path) -> None:
    """Nothing was left, not even a private folder."""
    assert names(project.renders_dir) == set()
    assert {path.name for path in tmp_path.iterdir()} <= {"film", "strict"}
    assert renders_logged(project) == []


def test_patches_are_refused_where_the_record_requires_the_label(
    strict: Project, footage: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConsentError, match="requires the visible label, which patches cannot carry"):
        rendered(strict, footage, patches=tmp_path / "patches")
    _clean(strict, tmp_path)


def test_a_clip_to_review_has_the_label_where_it_is_required(strict: Project, footage: Path) -> None:
    with pytest.raises(ConsentError, match="requires the visible label"):
        rendered(strict, footage, review=True, leave_out_label=True)
    assert rendered(strict, footage, review=True).label_shown


@pytest.mark.parametrize("record", ["gone", "revoked"])
def test_without_a_record_in_force_there_is_nothing(
    record: str, project: Project, footage: Path, tmp_path: Path
) -> None:
    if record == "gone":
        project.consent_path("vera").unlink()
    else:
        consent_revoke(project, "vera")
    with pytest.raises(ConsentError):
        rendered(project, footage, review=True, patches=tmp_path / "patches")
    _clean(project, tmp_path)


def test_a_record_that_is_revoked_meanwhile_takes_the_finished_patches_along(
    project: Project, footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from countenance.render import patches as module

    real = module.sign_picture
    made = list[int]()

    def stopped(*words: Any, **more: Any) -> Any:
        made.append(1)
        if len(made) > 25:
            raise KeyboardInterrupt
        return real(*words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(module, "sign_picture", stopped)
        with pytest.raises(KeyboardInterrupt):
            rendered(project, footage, patches=tmp_path / "patches")
    assert list(tmp_path.glob(".countenance-patches-*"))
    consent_revoke(project, "vera")
    with pytest.raises(ConsentError, match="revoked"):
        rendered(project, footage, patches=tmp_path / "patches")
    _clean(project, tmp_path)


def test_a_patch_that_cannot_be_signed_is_not_written(
    project: Project, footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise MarkError("Signing failed, so there is no output. Try again.")

    monkeypatch.setattr("countenance.render.patches.sign_picture", refuse)
    with pytest.raises(MarkError, match=r"Signing failed.*Stage patches at frame 0"):
        rendered(project, footage, patches=tmp_path / "patches")
    assert not list(tmp_path.rglob("*.png"))
    _clean(project, tmp_path)


@pytest.mark.parametrize("what", ["review", "render"])
def test_what_cannot_be_signed_does_not_appear_but_its_segments_stay(
    what: str, project: Project, footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from countenance.provenance import sign

    real = sign.sign_file

    def refuse(unsigned: Path, *words: Any, **more: Any) -> None:
        assert unsigned.parent.stat().st_mode & 0o077 == 0
        if unsigned.name.startswith(what):
            raise MarkError("Signing failed, so there is no output. Try again.")
        real(unsigned, *words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(sign, "sign_file", refuse)
        with pytest.raises(MarkError, match="Signing failed"):
            rendered(project, footage, review=True, patches=tmp_path / "patches")
    [private] = project.renders_dir.iterdir()
    assert {path.suffix for path in private.iterdir()} == {".nut", ".json", ""}  # marked segments only
    assert renders_logged(project) == []
    report = rendered(project, footage, review=True, patches=tmp_path / "patches")
    assert report.convert.resumed_at_frame == COUNT
    assert names(project.renders_dir) == {"out.mp4", "out.review.mp4"}
    assert report.patches is not None
    assert report.patches.files == len(list((tmp_path / "patches").rglob("*.png")))


def test_what_cannot_be_logged_does_not_appear_but_its_segments_stay(
    project: Project, footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Book.append

    def refuse(book: Book, kind: str, facts: Any) -> str:
        if kind == "render" and "review" in facts:  # the second of three rows
            raise LedgerError("The ledger is in use by another program. Wait for it and try again.")
        return real(book, kind, facts)

    with monkeypatch.context() as patch:
        patch.setattr(Book, "append", refuse)
        with pytest.raises(LedgerError, match="in use"):
            rendered(project, footage, review=True, patches=tmp_path / "patches")
    assert renders_logged(project) == []  # all rows or none
    assert not (tmp_path / "patches").exists()
    [private] = project.renders_dir.iterdir()
    assert {path.suffix for path in private.iterdir()} == {".nut", ".json", ""}
    rendered(project, footage, review=True, patches=tmp_path / "patches")
    assert len(renders_logged(project)) == 3


def test_a_full_disk_leaves_no_half_folder_and_the_next_run_goes_on(
    project: Project, footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = Path.write_bytes, list[Path]()

    def full(path: Path, data: bytes) -> int:
        if path.suffix == ".png":
            written.append(path)
            if len(written) == 30:
                real(path, data[:50])
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OutputError, match=r"disk is full.*Stage patches"):
            rendered(project, footage, patches=tmp_path / "patches")
    assert not (tmp_path / "patches").exists()
    assert not (project.renders_dir / "out.mp4").exists()
    report = rendered(project, footage, patches=tmp_path / "patches")
    assert report.convert.resumed_at_frame == 16
    assert report.patches is not None
    assert report.patches.files == len(list((tmp_path / "patches").rglob("*.png")))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("taken", "is there already, and a folder is never overwritten"),
        ("file", "is no folder"),
        ("link", "is no folder"),
        ("nowhere/patches", "There is no folder"),
        ("film/renders/out.mp4", "cannot be both"),
        ("film/renders/out.review.mp4", "cannot be both"),
        (".", "There is no folder|is there already"),
    ],
)
def test_a_folder_that_cannot_be_made_is_refused_before_any_work(
    place: str, words: str, project: Project, footage: Path, tmp_path: Path
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "letter.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=words):
        rendered(project, footage, review=True, patches=tmp_path / place, overwrite=True)
    assert (taken / "letter.txt").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "mine"
    assert names(project.renders_dir) == set()


def test_neither_clip_nor_folder_replaces_the_footage(project: Project, footage: Path, tmp_path: Path) -> None:
    scene = project.renders_dir / "out.review.mp4"
    shutil.copy(footage, scene)
    before = scene.read_bytes()
    with pytest.raises(OutputError, match="footage itself"):
        rendered(project, scene, review=True, overwrite=True)
    with pytest.raises(OutputError, match="is no folder"):
        rendered(project, scene, patches=scene, overwrite=True)
    with pytest.raises(OutputError, match="there already"):
        rendered(project, footage, review=True)
    assert scene.read_bytes() == before


def test_exr_without_its_library_is_a_sentence(
    project: Project, footage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "OpenEXR", None)
    with pytest.raises(OutputError, match=r"pip install 'countenance\[film\]'"):
        rendered(project, footage, patches=tmp_path / "patches", form="exr")
    with pytest.raises(OutputError, match="no patch format 'tiff'"):
        rendered(project, footage, patches=tmp_path / "patches", form="tiff")
    _clean(project, tmp_path)


def test_a_changed_patch_does_not_verify(project: Project, footage: Path, tmp_path: Path) -> None:
    import cv2

    from countenance.provenance.verify import verify_file

    rendered(project, footage, patches=tmp_path / "patches")
    victim = sorted((tmp_path / "patches").rglob("face*.png"))[3]
    data = bytearray(victim.read_bytes())
    at = data.rindex(b"IDAT") + 40
    data[at] ^= 1
    victim.write_bytes(bytes(data))
    assert verify_file(victim, search_watermark=False).verdict == "broken"
    picture = cv2.imread(str(sorted((tmp_path / "patches").rglob("face*.png"))[4]), cv2.IMREAD_UNCHANGED)
    assert (picture[picture[..., 3] == 0] == 0).all()  # nothing of the footage hides below the transparent part


def test_footage_without_the_performer_leaves_nothing(project: Project, footage: Path, tmp_path: Path) -> None:
    with pytest.raises(NoFaceError):
        rendered(project, footage, review=True, patches=tmp_path / "patches", script=[[] for _ in range(COUNT)])
    _clean(project, tmp_path)
