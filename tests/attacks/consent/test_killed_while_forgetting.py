"""A destruction that is killed: what is left cannot be used, nothing is certified, and the same command ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "training"))

from test_train import FakePerception, _unit, fill
from two_signatures import memory_key, performer_agrees, signed_record

from countenance.consent.check import accept_record
from countenance.consent.gate import require_consent
from countenance.consent.ledger import Ledger
from countenance.consent.template import enrol, save_template
from countenance.errors import ConsentError, CountenanceError
from countenance.perception.identity import EMBEDDER_ID
from countenance.project import Project
from countenance.provenance.destruction import read_certificate
from countenance.provenance.identity import SigningIdentity
from countenance.training.train import train

KILLS = 5
_MODELS = 16
_MODEL_BYTES = 1_000_000

_CHILD = """
import sys
import countenance.api, countenance.cli, countenance.forgetting, countenance.provenance.identity
from countenance.consent import gate
print("going", flush=True)
sys.stdin.readline()
sys.exit(countenance.cli.run(["forget", "vera", "--yes", "--project", sys.argv[1]]))
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which training and rendering are allowed, with models to destroy."""
    project = Project.create(tmp_path_factory.mktemp("whole") / "film", title="Welcome", purpose="double")
    vectors = fill(project, "vera", 1, FakePerception(_unit(0)))
    fill(project, "ivan", 2, FakePerception(_unit(0)))
    save_template(project.template_path("vera"), enrol(vectors, [30.0], embedder_id=EMBEDDER_ID), project.key())
    accept_record(project, "vera", signed_record(project, "vera", memory_key(), synthetic=True))
    project = project.protect("ivan")
    folder = project.model_dir("vera", "ivan", "swift")
    folder.mkdir(parents=True)
    for number in range(_MODELS):
        (folder / f"part{number:02}.safetensors").write_bytes(os.urandom(_MODEL_BYTES))
    gate(project)  # allowed, before anything is destroyed
    return project


def gate(project: Project) -> None:
    """What a render asks first, with faces that are the lender's."""
    embeddings = np.stack([FakePerception(_unit(0)).embedder(np.full((32, 32, 3), n), None) for n in range(24)])  # type: ignore[arg-type]
    require_consent(project, "vera", "ivan", act="swap", embeddings=embeddings)


def destroy(project: Project, home: Path, kill_after: float | None) -> float:
    """Run the command in a process of its own; the seconds it had, whether it was killed or not."""
    words = [sys.executable, "-c", _CHILD, str(project.root)]
    environment = {**os.environ, "COUNTENANCE_HOME": str(home)}
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"going\n"
        began = time.perf_counter()
        child.stdin.write(b"\n")
        child.stdin.flush()
        if kill_after is not None:
            time.sleep(kill_after)
            child.send_signal(signal.SIGKILL)
        _, said = child.communicate(timeout=60)
        assert kill_after is not None or child.returncode == 0, said.decode()
    return time.perf_counter() - began


def hashes(project: Project) -> dict[str, str]:
    """Of every file of vera's that forgetting destroys, under its own name."""
    places = [project.people_dir / "vera", project.root / "models" / "vera--ivan"]
    files = [path for place in places if place.exists() for path in place.rglob("*") if path.is_file()]
    return {
        path.relative_to(project.root).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.startswith((".countenance-destroying-", "consent"))
    }


def stages(project: Project) -> list[str]:
    """How far the ledger says that it is."""
    entries = Ledger(project.ledger_path).entries()
    return [str(entry.facts.get("stage")) for entry in entries if entry.kind == "destruction"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_forgetting_killed_at_any_moment(film: Project, tmp_path: Path) -> None:
    """Five kills, one in each fifth of the time that a destruction takes here."""
    home, whole = tmp_path / "home", hashes(film)
    identity = SigningIdentity.load_or_create(home / "data")
    chance, in_the_middle = np.random.default_rng(0), 0
    first = Project.open(Path(shutil.copytree(film.root, tmp_path / "first")))
    took = destroy(first, home, None)
    assert stages(first)[-1] == "done"
    for number in range(KILLS):
        project = Project.open(Path(shutil.copytree(film.root, tmp_path / f"film{number}")))
        destroy(project, home, took * float(number + chance.uniform()) / KILLS)
        left, certificates = hashes(project), list((project.root / "certificates").glob("*.json"))
        # What still has its name is whole: nothing is overwritten in its place.
        assert {path: whole[path] for path in left} == left
        if left:
            assert not certificates
        if not stages(project):
            assert left == whole
        elif stages(project)[-1] == "listed":
            in_the_middle += 1
            with pytest.raises(ConsentError, match=r"being destroyed, and that was interrupted\. Finish it first"):
                gate(project)
            with pytest.raises(CountenanceError):
                train(project, "vera", "ivan", device="cpu", iterations=1, perception=FakePerception(_unit(0)))
            assert not (project.model_dir("vera", "ivan", "swift") / "checkpoint.safetensors").exists()
            Ledger(project.ledger_path).verify()
            destroy(project, home, None)
        else:
            assert not left
            continue
        if stages(project):
            assert stages(project)[-1] == "done"
            assert not hashes(project)
            assert not list(project.root.rglob(".countenance-destroying-*"))
            paper = max((project.root / "certificates").glob("*.json"))
            signed = read_certificate(paper, trusted_pem=identity.authority_pem)
            assert {one["path"]: one["sha256"] for one in signed.payload["files"]} == whole
            with pytest.raises(CountenanceError):
                gate(project)
        shutil.rmtree(project.root)
    assert in_the_middle >= 2  # or the kills missed what they are about


def test_an_interrupted_destruction_stops_the_partner_of_the_pair_too(film: Project, tmp_path: Path) -> None:
    project = Project.open(Path(shutil.copytree(film.root, tmp_path / "film")))
    ledger = Ledger(project.ledger_path)
    ledger.append("destruction", {"person": "ivan", "stage": "listed", "files": []})
    with pytest.raises(ConsentError, match="Everything of ivan is being destroyed"):
        gate(project)
    assert str(ledger.entries()[-1].facts["reason"]).endswith("countenance forget ivan.")
    ledger.append("destruction", {"person": "ivan", "stage": "done", "files": 0})
    gate(project)


def test_a_performer_whose_destruction_was_interrupted(tmp_path: Path) -> None:
    """The performer's record is still in force, and the faces are not to be used any more."""
    project = Project.create(tmp_path / "film", title="Welcome", purpose="double")
    performer_agrees(project)
    Ledger(project.ledger_path).append("destruction", {"person": "ivan", "stage": "listed", "files": []})
    with pytest.raises(ConsentError, match="being destroyed"):
        gate(project)
