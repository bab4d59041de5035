"""Forgetting a person: all of theirs goes, nothing else does, and the certificate says what."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from countenance import forgetting as module
from countenance.cli import run
from countenance.consent.ledger import Ledger
from countenance.errors import CountenanceError, IntegrityError, OutputError, ProjectError
from countenance.forgetting import forget, plan_to_forget
from countenance.project import Project
from countenance.provenance.destruction import read_certificate
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.papers import paper_kind, verify_paper

GONE = [
    "people/vera/faces.sqlite",
    "people/vera/faces.sqlite-wal",
    "people/vera/template.json",
    "people/vera/contact_sheet.png",
    "people/vera/.faces.ab12.part.sqlite",
    "models/vera--ivan/swift/checkpoint.safetensors",
    "models/vera--ivan/swift/best.safetensors",
    "models/vera--ivan/swift/preview.png",
    "models/vera--ivan/swift/curves.png",
    "models/vera--ivan/swift/coverage.png",
    "models/vera--ivan/swift/.countenance-preview-x/sheet.png",
    "models/ivan--vera/classic/checkpoint.safetensors",
    "renders/.countenance-render-0a/0001.mkv",
    "renders/.countenance-render-0a/state.json",
]
STAYS = [
    "countenance.toml",
    "people/vera/consent.json",
    "people/vera/consent-request.json",
    "people/vera/consent-request.html",
    "people/vera/consent-request.txt",
    "people/vera/consent-unwitnessed.json",
    "people/ivan/faces.sqlite",
    "people/veras/faces.sqlite",
    "models/olga--ivan/swift/checkpoint.safetensors",
    "models/veras--ivan/swift/checkpoint.safetensors",
    "renders/vera.mp4",
    "renders/vera.c2pa",
    "renders/olga.mp4",
    "renders/.countenance-render-0b/state.json",
    "vera/notes.txt",
]


def state(*people: str) -> bytes:
    return b"code\n" + json.dumps({"made_from": {"people": json.dumps(people)}}).encode()


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> SigningIdentity:
    return SigningIdentity.load_or_create(tmp_path_factory.mktemp("home") / "data")


@pytest.fixture
def film(tmp_path: Path) -> Project:
    project = Project.create(tmp_path / "film", title="The Witness", purpose="double")
    for path in [*GONE, *STAYS[1:]]:
        place = project.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.encode() * 50)
    (project.root / GONE[-1]).write_bytes(state("vera", "ivan"))
    (project.renders_dir / ".countenance-render-0b/state.json").write_bytes(state("olga", "ivan"))
    # A checkpoint becomes the previous one by a second name.
    model = project.root / "models/vera--ivan/swift"
    os.link(model / "checkpoint.safetensors", model / "previous.safetensors")
    digest = sha256((project.renders_dir / "vera.mp4").read_bytes()).hexdigest()
    Ledger(project.ledger_path).append("render", {"lender": "vera", "performer": "ivan", "render_sha256": digest})
    return project


def files_of(project: Project) -> set[str]:
    return {p.relative_to(project.root).as_posix() for p in project.root.rglob("*") if not p.is_dir()}


def test_everything_of_a_person_goes_and_nothing_else(film: Project, identity: SigningIdentity) -> None:
    before = {path: (film.root / path).read_bytes() for path in GONE}
    plan = plan_to_forget(film, "vera")
    assert (plan.partners, plan.going_on) == (("ivan",), False)
    assert set(plan.kept) == {*STAYS[1:6], "renders/vera.mp4", "renders/vera.c2pa"}
    done = forget(film, "vera", identity)
    certificate = done.certificate.relative_to(film.root).as_posix()
    assert files_of(film) == {*STAYS, "ledger.sqlite", certificate}
    for path in STAYS[1:11]:
        assert (film.root / path).read_bytes() == path.encode() * 50
    assert not (film.root / "models/vera--ivan").exists()
    signed = read_certificate(done.certificate, trusted_pem=identity.authority_pem)
    assert signed.trusted
    listed = {one["path"]: one for one in signed.payload["files"]}
    assert set(listed) == {*GONE, "models/vera--ivan/swift/previous.safetensors"}
    for path, data in before.items():
        wanted = {"path": path, "bytes": len(data), "sha256": sha256(data).hexdigest(), "how": "overwritten"}
        assert listed[path] == wanted
    assert set(signed.payload["kept"]) == set(plan.kept)
    rows = Ledger(film.ledger_path).entries()
    assert [row.facts.get("stage") for row in rows[-2:]] == ["listed", "done"]
    assert rows[-2].hash == signed.payload["ledger_entry"]
    assert rows[-1].facts["certificate_sha256"] == sha256(done.certificate.read_bytes()).hexdigest()
    Ledger(film.ledger_path).verify()
    with pytest.raises(ProjectError, match="nothing of 'vera' left"):
        forget(film, "vera", identity)


def test_renders_go_only_when_asked(film: Project, identity: SigningIdentity) -> None:
    done = forget(film, "vera", identity, renders=True)
    paths = {one["path"] for one in done.files}
    assert {"renders/vera.mp4", "renders/vera.c2pa"} <= paths
    assert not (film.renders_dir / "vera.mp4").exists()
    assert (film.renders_dir / "olga.mp4").exists()


def test_a_performer_without_papers_leaves_no_folder(film: Project, identity: SigningIdentity) -> None:
    done = forget(film, "ivan", identity)
    assert not (film.people_dir / "ivan").exists()
    assert (film.people_dir / "vera" / "faces.sqlite").exists()
    assert {Path(one["path"]).parts[1] for one in done.files} == {
        *("ivan", "vera--ivan", "ivan--vera", "olga--ivan", "veras--ivan"),
        *(".countenance-render-0a", ".countenance-render-0b"),
    }


def test_bytes_are_overwritten_before_they_are_unlinked(
    film: Project, identity: SigningIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handle that was open all the time sees noise, not the face."""
    template = film.template_path("vera")
    with template.open("rb") as watcher:
        before = watcher.read()
        forget(film, "vera", identity)
        watcher.seek(0)
        after = watcher.read()
    assert len(after) == len(before)
    assert after != before
    assert b"template" not in after


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../ivan", "vera/../ivan", "/etc", "vera--ivan", "con", "ve\u202era", "*"]
)
def test_tricks_with_the_name(film: Project, identity: SigningIdentity, name: str) -> None:
    before = files_of(film)
    with pytest.raises(ProjectError):
        forget(film, name, identity)
    assert files_of(film) == before


@pytest.mark.parametrize("name", ["Vera", "nobody"])
def test_somebody_who_is_not_there(film: Project, identity: SigningIdentity, name: str) -> None:
    with pytest.raises(ProjectError, match="no person"):
        forget(film, name, identity)


LINKS = [
    "people/vera",
    "people",
    "models",
    "models/vera--ivan",
    "models/vera--ivan/swift",
    "people/vera/faces.sqlite",
    "models/vera--ivan/swift/dangling",
    "renders/.countenance-render-0a",
]


@pytest.mark.parametrize("place", LINKS)
def test_links_are_never_followed(film: Project, identity: SigningIdentity, tmp_path: Path, place: str) -> None:
    path, outside = film.root / place, tmp_path / "outside"
    if path.exists():
        path.rename(outside)
    path.symlink_to(outside)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ProjectError, match="is a link"):
        forget(film, "vera", identity, renders=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_pipe_does_not_stop_the_world(film: Project, identity: SigningIdentity) -> None:
    os.mkfifo(film.people_dir / "vera" / "pipe")
    with pytest.raises(ProjectError, match="no ordinary file"):
        forget(film, "vera", identity)


def test_another_name_outside_keeps_its_bytes(film: Project, identity: SigningIdentity, tmp_path: Path) -> None:
    faces = film.faceset_path("vera")
    data = faces.read_bytes()
    os.link(faces, tmp_path / "backup.sqlite")
    done = forget(film, "vera", identity)
    assert {one["path"]: one["how"] for one in done.files}["people/vera/faces.sqlite"] == "unlinked"
    assert (tmp_path / "backup.sqlite").read_bytes() == data
    assert not faces.exists()


@pytest.mark.parametrize("after", range(0, 16, 3))
def test_an_interrupted_destruction_goes_on(
    film: Project, identity: SigningIdentity, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    hashes = {path: sha256((film.root / path).read_bytes()).hexdigest() for path in GONE}
    done = 0

    def dies(size: int) -> bytes:
        nonlocal done
        done += 1
        if done > after:
            raise KeyboardInterrupt
        return b"\x55" * size

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "urandom", dies)
        if after < 15:
            with pytest.raises(KeyboardInterrupt):
                forget(film, "vera", identity)
            assert not (film.root / "certificates").exists()
            assert plan_to_forget(film, "vera").going_on
    finished = forget(film, "vera", identity)
    listed = {one["path"]: one for one in finished.files}
    assert {path: listed[path]["sha256"] for path in GONE} == hashes
    assert sum(one["how"] == "gone" for one in finished.files) == (after + 1 if after < 15 else 0)
    assert not [path for path in files_of(film) if ".countenance-destroying" in path]
    with pytest.raises(ProjectError, match="left to destroy"):
        plan_to_forget(film, "vera")


def test_work_that_goes_on_writing_is_found(
    film: Project, identity: SigningIdentity, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = film.root / "models/vera--ivan/swift/checkpoint.safetensors"
    real = module._destroy

    def and_a_save(*arguments: object) -> object:
        result = real(*arguments)
        place.write_bytes(b"newer")
        return result

    monkeypatch.setattr(module, "_destroy", and_a_save)
    with pytest.raises(OutputError, match="Stop the training"):
        forget(film, "vera", identity)
    monkeypatch.undo()
    assert not (film.root / "certificates").exists()
    done = forget(film, "vera", identity)
    assert {one["path"]: one["how"] for one in done.files}[place.relative_to(film.root).as_posix()] == "overwritten"


def test_a_certificate_of_many_files(film: Project, identity: SigningIdentity) -> None:
    for number in range(400):
        (film.people_dir / "vera" / f"é-{number:04}-{'x' * 60}.png").write_bytes(b"%d" % number)
    done = forget(film, "vera", identity)
    assert len(done.files) == 415
    stages = [row.facts.get("stage") for row in Ledger(film.ledger_path).entries() if row.kind == "destruction"]
    assert stages.count("listed") > 3
    assert read_certificate(done.certificate, trusted_pem=identity.authority_pem).trusted


def test_a_changed_certificate_shows(film: Project, identity: SigningIdentity, tmp_path: Path) -> None:
    path = forget(film, "vera", identity, clock=lambda: datetime.now(UTC)).certificate
    assert paper_kind(path) == "certificate"
    paper = verify_paper(path, "certificate", trusted_pem=identity.authority_pem)
    assert (paper.verdict, paper.exit_code) == ("holds", 0)
    assert "15 files of vera" in paper.to_text()
    other = SigningIdentity.load_or_create(tmp_path / "other")
    assert verify_paper(path, "certificate", trusted_pem=other.authority_pem).verdict == "unproven"
    data = path.read_bytes()
    for at in range(5, len(data) - 2, len(data) // 60):
        path.write_bytes(data[:at] + (b"A" if data[at : at + 1] != b"A" else b"B") + data[at + 1 :])
        with pytest.raises(IntegrityError):
            read_certificate(path, trusted_pem=identity.authority_pem)
    for cut in (0, 10, len(data) // 2, len(data) - 3):
        path.write_bytes(data[:cut])
        with pytest.raises(CountenanceError):
            read_certificate(path, trusted_pem=identity.authority_pem)


def test_the_command(
    film: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COUNTENANCE_HOME", str(tmp_path / "home"))
    where = ["--project", str(film.root)]
    monkeypatch.setattr("click.confirm", lambda *_a, **_k: False)
    before = files_of(film)
    assert run(["forget", "vera", *where]) == 2
    assert "people/vera/template.json" in capsys.readouterr().err
    assert files_of(film) == before
    assert run(["forget", "vera", "--yes", "--json", *where]) == 0
    told = json.loads(capsys.readouterr().out)["forget"]
    assert run(["verify", told["certificate"]]) == 0
    assert "Signed by Countenance local signer" in capsys.readouterr().out
    assert run(["ledger", "verify", *where]) == 0
    export = tmp_path / "ledger.jsonl"
    assert run(["ledger", "export", str(export), *where]) == 0
    assert run(["ledger", "export", str(export), *where]) == 2
    assert run(["verify", str(export)]) == 0
    assert run(["ledger", "verify", "--against", str(export), *where]) == 0
    film.ledger_path.unlink()
    Ledger(film.ledger_path).append("note", {})
    assert run(["ledger", "verify", "--against", str(export), *where]) == 2
    assert "is gone" in capsys.readouterr().err
