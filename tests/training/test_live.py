"""The live view: what it writes is marked, signed and allowed, or not there."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from preview_screens import Calm
from two_signatures import performer_agrees, performer_faces, signed_record

from countenance import live
from countenance.consent.check import accept_record
from countenance.consent.gate import require_consent
from countenance.consent.keys import generate_key
from countenance.consent.ledger import Ledger
from countenance.consent.record import parse_record
from countenance.consent.revoke import revoke
from countenance.consent.statement import LANGUAGES
from countenance.consent.template import enrol, save_template
from countenance.conversion.screens import AGES_TO_JUDGE
from countenance.curves import curves_png
from countenance.errors import ConsentError, LedgerError, MarkError, OutputError
from countenance.faceset.store import FaceSet
from countenance.live import LiveView, preview_sheet
from countenance.perception.identity import EMBEDDER_ID
from countenance.project import Project
from countenance.provenance.identity import SigningIdentity
from countenance.provenance.label import label_plate, label_text
from countenance.provenance.verify import verify_file
from countenance.provenance.watermark import find_watermark
from countenance.training.checkpoint import CheckpointFacts
from countenance.training.presets import PRESETS
from countenance.training.runs import make_run
from countenance.training.scores import Identity

LENDER, PERFORMER = "veraquist", "ivanovich"
HISTORY = (
    {"iteration": 0.0, "seconds": 0.0, "samples": 0.0, "held_out_ssim": 0.905, "held_out_identity_margin": 0.12},
    {
        "iteration": 565.0,
        "seconds": 180.0,
        "samples": 6780.0,
        "held_out_ssim": 0.912,
        "trained_ssim": 0.92,
        "loss": 0.2,
    },
)

SYNTHETIC = label_text(synthetic=True)
"""What the label says by the record's terms: of nobody's face nobody has consented."""


def face(seed: int) -> np.ndarray:
    """A picture with the shading and the texture of a face, uint8 (256, 256, 3)."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(60, 200, (7, 7, 3)).astype(np.float32), (256, 256), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse + rng.normal(0, 2.0, (256, 256, 1)), 0, 255).astype(np.uint8)


class FakeRun:
    """Has what the view asks of a run."""

    def __init__(self, count: int = 6) -> None:
        self.pairs = [(face(number), face(100 + number)) for number in range(count)]

    def preview(self) -> list[tuple[np.ndarray, np.ndarray]]:
        return self.pairs


@dataclass
class Story:
    project: Project
    facts: CheckpointFacts
    identity: SigningIdentity
    key: object

    def view(self, **options) -> LiveView:
        return LiveView(
            self.project, LENDER, PERFORMER, "swift", **({"identity": self.identity, "perception": Calm()} | options)
        )

    @property
    def folder(self) -> Path:
        return self.project.model_dir(LENDER, PERFORMER, "swift")

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("film"))


def tell(root: Path, **terms: str) -> Story:
    """A project in which both agreed, and a model that was trained."""
    project = Project.create(root / "film", title="A title of its own", purpose="double")
    embeddings = np.random.default_rng(0).normal(0, 0.02, (24, 128))
    embeddings[:, 0] += 1.0
    embeddings = (embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)).astype(np.float32)
    for name in (LENDER, PERFORMER):
        FaceSet.open(project.faceset_path(name), project.key(), create=True).close()
    key = generate_key(root / "vera.key", "correct horse battery")
    template = enrol(embeddings, [30.0], embedder_id=EMBEDDER_ID)
    save_template(project.template_path(LENDER), template, project.key())
    accept_record(project, LENDER, signed_record(project, LENDER, key, synthetic=True, **terms))
    performer_agrees(project, PERFORMER)
    permit = require_consent(
        project, LENDER, PERFORMER, act="train", embeddings=embeddings, performer_embeddings=performer_faces()
    )
    facts = CheckpointFacts(
        {"name": "swift"}, LENDER, PERFORMER, permit.record_id, permit.record_sha256, permit.ledger_entry,
        ("a", "b"), 0, 565, 6780, 180.0, "cpu", HISTORY,
    )  # fmt: skip
    return Story(project, facts, SigningIdentity.load_or_create(root / "home"), key)


@pytest.fixture
def story(told: Story, tmp_path: Path) -> Story:
    """A copy, to be spoilt."""
    root = Path(shutil.copytree(told.project.root, tmp_path / "film"))
    return replace(told, project=Project.open(root))


def test_the_preview_is_proven_and_names_nobody(story: Story) -> None:
    view = story.view(coverage=b"a picture without faces")
    view(FakeRun(), story.facts)
    assert set(story.files()) == {"preview.png", "curves.png", "coverage.png"}
    found = verify_file(view.preview, trusted_pem=story.identity.authority_pem)
    assert found.verdict == "holds"
    assert found.marks.label.state == "claimed"
    assert found.marks.watermark.state == "matches"
    assert found.claim is not None
    assert (found.claim.record_id, found.claim.record_sha256) == (story.facts.record_id, story.facts.record_sha256)
    assert (found.claim.label_text, found.claim.purpose, found.claim.synthetic) == (
        SYNTHETIC,
        "double",
        True,
    )
    picture = np.asarray(Image.open(view.preview).convert("RGB"))
    plate = label_plate(picture.shape[:2], SYNTHETIC)
    height, width = plate.rgb.shape[:2]
    there = picture[plate.top : plate.top + height, plate.left : plate.left + width]
    assert np.abs(there.astype(int) - plate.rgb).mean() < 8.0
    assert view.preview.stat().st_mode & 0o077 == 0 or sys.platform == "win32"
    for name, data in story.files().items():
        for word in (LENDER, PERFORMER, "A title of its own", str(story.project.root)):
            assert word.encode() not in data, (name, word)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_label_speaks_the_record_s_language(language: str, tmp_path: Path) -> None:
    story = tell(tmp_path, language=language)
    view = story.view()
    view(FakeRun(), story.facts)
    words = label_text(synthetic=True, language=language)
    found = verify_file(view.preview, trusted_pem=story.identity.authority_pem)
    assert found.claim is not None
    assert (found.verdict, found.marks.watermark.state, found.claim.label_text) == ("holds", "matches", words)
    picture = np.asarray(Image.open(view.preview).convert("RGB"))
    plate = label_plate(picture.shape[:2], words)
    height, width = plate.rgb.shape[:2]
    there = picture[plate.top : plate.top + height, plate.left : plate.left + width]
    assert np.abs(there.astype(int) - plate.rgb).mean() < 8.0


def test_a_changed_preview_is_broken_and_a_cut_out_swap_still_has_the_watermark(story: Story) -> None:
    view = story.view()
    run = FakeRun(1)
    for _ in range(AGES_TO_JUDGE):  # one face a time
        view(run, story.facts)
    picture = np.asarray(Image.open(view.preview).convert("RGB"))
    data = bytearray(view.preview.read_bytes())
    data[len(data) // 2] ^= 1
    view.preview.write_bytes(data)
    assert verify_file(view.preview, trusted_pem=story.identity.authority_pem).verdict == "broken"
    swap = run.pairs[0][1].astype(np.float32)
    match = cv2.matchTemplate(picture.astype(np.float32), swap, cv2.TM_SQDIFF)
    y, x = np.unravel_index(int(np.argmin(match)), match.shape)
    cut = picture[y : y + 256, x : x + 256]
    assert np.abs(cut - swap).mean() < 4.0
    row = Ledger(story.project.ledger_path).entries()[-1]
    payload = find_watermark([cut]).payload
    assert payload is not None
    assert payload.hex() == row.facts["watermark"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6, 16])
def test_one_still_gives_the_whole_watermark_and_the_label_covers_no_face(story: Story, count: int) -> None:
    run = FakeRun(count)
    view = story.view()
    sheet = view._marked(run.pairs, story.facts, SYNTHETIC)
    assert find_watermark([sheet]).payload == view._watermark
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "JPEG", quality=75)  # somebody sends it on
    assert find_watermark([np.asarray(Image.open(buffer))]).payload == view._watermark
    plain = preview_sheet(run.pairs, ("a", "b", "c"), SYNTHETIC)
    plate = label_plate(plain.shape[:2], SYNTHETIC)
    under = plain[plate.top :].reshape(-1, 3).astype(int)
    assert np.ptp(under, axis=1).max() == 0  # grey: no picture
    assert plate.top + plate.rgb.shape[0] < plain.shape[0]


def test_one_view_is_one_row_in_the_ledger_and_the_next_view_another(story: Story) -> None:
    before = len(Ledger(story.project.ledger_path).entries())
    view = story.view()
    for _ in range(3):
        view(FakeRun(AGES_TO_JUDGE), story.facts)
    story.view()(FakeRun(AGES_TO_JUDGE), story.facts)
    ledger = Ledger(story.project.ledger_path)
    ledger.verify([story.facts.ledger_entry])
    rows = ledger.entries()[before:]
    assert [(row.kind, row.facts["preview"], row.facts["record_id"]) for row in rows] == [
        ("render", True, story.facts.record_id)
    ] * 2
    assert rows[0].facts["watermark"] != rows[1].facts["watermark"]


class NoSigner:
    authority_pem = ""

    def signer(self, *, timestamp: bool = True):
        raise MarkError("There is no key. Make one.")


def test_without_a_signature_there_is_no_preview_and_an_old_one_stays(story: Story) -> None:
    with pytest.raises(MarkError):
        story.view(identity=NoSigner())(FakeRun(), story.facts)
    assert set(story.files()) == {"curves.png"}
    story.view()(FakeRun(), story.facts)
    old = story.files()["preview.png"]
    with pytest.raises(MarkError):
        story.view(identity=NoSigner())(FakeRun(), story.facts)
    assert story.files()["preview.png"] == old
    assert len(list(story.folder.iterdir())) == 2  # and no private folder


@pytest.mark.parametrize("part", ["draw_label", "Watermarker", "Ledger"])
def test_without_any_mark_or_its_row_there_is_no_preview(
    story: Story, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def fail(*_arguments, **_options):
        raise MarkError("It failed.")

    if part == "Ledger":
        monkeypatch.setattr(Ledger, "append", fail)
    else:
        monkeypatch.setattr(live, part, fail)
    with pytest.raises(MarkError):
        story.view()(FakeRun(), story.facts)
    assert set(story.files()) == {"curves.png"}
    assert len(list(story.folder.iterdir())) == 1


def test_after_a_revocation_nothing_is_written(story: Story) -> None:
    view = story.view()
    view(FakeRun(), story.facts)
    before = story.files()
    revoke(story.project, parse_record(story.project.consent_path(LENDER).read_bytes()), reason="changed my mind")
    with pytest.raises(ConsentError, match="revoked"):
        view(FakeRun(), replace(story.facts, history=HISTORY[:1]))
    assert story.files() == before


def test_no_record_another_record_an_ended_one_and_a_cut_ledger_allow_nothing(story: Story) -> None:
    later = datetime.now(UTC) + timedelta(days=3650)
    with pytest.raises(ConsentError, match="ended"):
        story.view(clock=lambda: later)(FakeRun(), story.facts)
    with pytest.raises(ConsentError, match="another one"):
        story.view()(FakeRun(), replace(story.facts, record_sha256="00" * 32))
    with pytest.raises(LedgerError):
        story.view()(FakeRun(), replace(story.facts, ledger_entry="00" * 32))
    story.project.consent_path(LENDER).unlink()
    with pytest.raises(ConsentError, match="is gone"):
        story.view()(FakeRun(), story.facts)
    assert not story.folder.exists()


def test_where_nothing_can_be_written_it_is_said(story: Story) -> None:
    story.folder.parent.mkdir(parents=True)
    story.folder.write_bytes(b"no folder")
    with pytest.raises(OutputError):
        story.view()(FakeRun(), story.facts)


def test_a_run_with_nothing_to_show_gives_curves_only(story: Story) -> None:
    story.view()(FakeRun(0), story.facts)
    assert set(story.files()) == {"curves.png"}


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_curves_are_drawn_of_whatever_there_is(rows: int) -> None:
    picture = Image.open(io.BytesIO(curves_png(HISTORY[:rows])))
    assert picture.size == (1200, 420)


def test_real_runs_show_their_swaps_and_go_on_as_if_not_asked(people) -> None:
    who = np.eye(128, dtype=np.float32)
    identity = Identity(lambda _rgb, _landmarks: who[0], who[0], who[1])
    small = {name: replace(recipe, batch_size=2) for name, recipe in PRESETS.items()}
    for name in ("swift", "classic"):
        run = make_run(small[name], people, device=torch.device("cpu"), seed=0, identity=identity)
        weights = {key: tensor.clone() for key, tensor in run.tensors().items()}
        chance = torch.get_rng_state()
        pairs = run.preview()
        assert 1 <= len(pairs) <= 6
        assert all(picture.shape == (256, 256, 3) and picture.dtype == np.uint8 for pair in pairs for picture in pair)
        assert all((people[1].rgb == before).all((1, 2, 3)).any() for before, _ in pairs)
        assert all(not np.array_equal(before[100:150], swap[100:150]) for before, swap in pairs)
        assert torch.equal(chance, torch.get_rng_state())
        assert all(torch.equal(tensor, weights[key]) for key, tensor in run.tensors().items())


_CHILD = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[3], str(Path(sys.argv[3]).parent)]
from preview_screens import Calm
from test_live import AGES_TO_JUDGE, FakeRun, LENDER, PERFORMER, HISTORY
from countenance.live import LiveView
from countenance.project import Project
from countenance.provenance.identity import SigningIdentity
from countenance.training.checkpoint import CheckpointFacts

record_id, record_sha256, entry = sys.argv[4:7]
facts = CheckpointFacts(
    {"name": "swift"}, LENDER, PERFORMER, record_id, record_sha256, entry, ("a", "b"), 0, 1, 1, 1.0, "cpu", HISTORY
)
identity = SigningIdentity.load_or_create(Path(sys.argv[2]))
project, see = Project.open(Path(sys.argv[1])), Calm()
view, run = LiveView(project, LENDER, PERFORMER, "swift", identity=identity, perception=see), FakeRun(AGES_TO_JUDGE)
view(run, facts)
print("going", flush=True)
while True:
    view(run, facts)
"""


def test_sigkill_at_any_moment_leaves_a_whole_preview(story: Story, tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    home = tmp_path / "home"
    identity = SigningIdentity.load_or_create(home)
    facts = story.facts
    words = [str(story.project.root), str(home), str(Path(__file__).parent)]
    words += [facts.record_id, facts.record_sha256, facts.ledger_entry]
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", _CHILD, *words], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"going\n"
            time.sleep(float(chance.uniform(0.0, 0.6)))
            child.send_signal(signal.SIGKILL)
        found = verify_file(story.folder / "preview.png", trusted_pem=identity.authority_pem)
        assert (found.verdict, found.marks.watermark.state) == ("holds", "matches")
        Image.open(story.folder / "curves.png").load()
        assert {path.name for path in story.folder.iterdir() if path.suffix == ".png" and path.name[0] != "."} == {
            "preview.png",
            "curves.png",
        }
