"""A training's preview that a screen flags is not written, and the training ends.

Scores come in through the session protocol; no such picture exists.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parents[2] / "training"))

from preview_screens import Calm
from test_live import LENDER, FakeRun, Story, story, told  # noqa: F401 - fixtures

from countenance.consent.ledger import Ledger
from countenance.errors import MinorError, SexualContentError, WeightsError
from countenance.training.checkpoint import CHECKPOINT, CheckpointFacts
from countenance.training.loop import Budget, loop
from countenance.training.runs import Step
from countenance.training.scores import NOBODY, HeldOut

NAN = float("nan")


class Run(FakeRun):
    """Learns nothing, and shows six pairs."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.zeros(2)

    def step(self, _iteration: int) -> Step:
        self.weights += 1.0
        return Step(2, 0.5)

    def score(self) -> HeldOut:
        return HeldOut(0.5, 0.5, *NOBODY, 0.5, 0.5)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"model.weights": self.weights}


def stopped(story: Story, see: Calm, error: type[Exception], says: str) -> None:  # noqa: F811 - the fixture
    """Through the loop itself: an older preview is gone, nothing is saved, and the reason is in the ledger."""
    story.folder.mkdir(parents=True)
    (story.folder / "preview.png").write_bytes(b"an older one")
    facts = CheckpointFacts(**{name: getattr(story.facts, name) for name in CheckpointFacts.__dataclass_fields__})
    with pytest.raises(error, match=r"^The training was stopped, and nothing more of it was saved\. ") as refused:
        loop(Run(), facts, Budget(iterations=facts.iteration + 3), story.folder, watch=story.view(perception=see))
    assert says in str(refused.value)
    assert not (story.folder / "preview.png").exists()
    assert not (story.folder / CHECKPOINT).exists()
    assert not list(story.folder.glob(".countenance-*"))
    row = Ledger(story.project.ledger_path).entries()[-1]
    assert (row.kind, row.facts["lender"], row.facts["at"]) == ("refusal", LENDER, "the training's preview")
    assert says in row.facts["reason"]


@pytest.mark.parametrize(("which", "score"), [(0, 0.8), (3, 1.0), (6, 0.8), (6, NAN)])
def test_one_flagged_picture(story: Story, which: int, score: float) -> None:  # noqa: F811
    """The first painted face, one in the middle, the sheet as a whole; a score that is no number too."""
    see = Calm(sexual=lambda number: score if number == which else 0.1)
    stopped(story, see, SexualContentError, "training's preview looks like sexual content")


def test_a_painted_face_under_age(story: Story) -> None:  # noqa: F811
    see = Calm(years=lambda number: 33.0 if number < 6 else 15.0)  # the footage's faces are asked first
    stopped(story, see, MinorError, "lender's face in the training's preview appears to be under age")


def test_the_footage_under_age(story: Story) -> None:  # noqa: F811
    see = Calm(years=lambda number: 15.0 if number < 6 else 33.0)
    stopped(story, see, MinorError, "performer in the training's preview appears to be under age")


def test_a_young_lender_without_a_document(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from countenance.consent.record import ConsentRecord

    monkeypatch.setattr(ConsentRecord, "adult_id_checked", False)
    see = Calm(years=lambda number: 33.0 if number < 6 else 22.0)
    stopped(story, see, MinorError, "looks younger than 25")


def test_a_young_lender_with_one(story: Story) -> None:  # noqa: F811
    """The witness saw a document, or nobody has this face: that is allowed, as in a render."""
    story.view(perception=Calm(years=lambda _number: 22.0))(FakeRun(), story.facts)
    assert (story.folder / "preview.png").exists()


def test_too_few_faces_to_judge_an_age(story: Story) -> None:  # noqa: F811
    """Nothing is shown before five were estimated; small face sets get there with the next sheets."""
    view = story.view(perception=Calm())
    view(FakeRun(2), story.facts)
    assert set(story.files()) == {"curves.png"}
    view(FakeRun(2), story.facts)
    assert set(story.files()) == {"curves.png"}
    view(FakeRun(2), story.facts)
    assert set(story.files()) == {"curves.png", "preview.png"}


def test_an_age_that_only_later_sheets_show(story: Story) -> None:  # noqa: F811
    """What was an adult in the first sheets and is a minor in the newest is refused."""
    see = Calm(years=lambda number: 33.0 if number < 12 else 15.0)
    view = story.view(perception=see)
    view(FakeRun(), story.facts)
    with pytest.raises(MinorError, match="under age"):
        view(FakeRun(), story.facts)


def test_a_model_that_paints_nobody_yet(story: Story) -> None:  # noqa: F811
    """No face is seen in what is painted: there is no age to judge, and the sheet is looked at all the same."""
    painted = {picture.tobytes() for _, picture in FakeRun().pairs}
    see = Calm(seen=lambda rgb: rgb.tobytes() not in painted)
    story.view(perception=see)(FakeRun(), story.facts)
    assert (story.folder / "preview.png").exists()
    assert (see.looks, see.faces) == (7, 6)


def test_a_screen_that_cannot_be_run(story: Story) -> None:  # noqa: F811
    """The view is switched off, as for every fault of it, and no sheet is written unseen."""

    def missing(_number: int) -> float:
        raise WeightsError("The network for sexual content cannot be fetched.")

    notices: list[str] = []
    view = story.view(perception=Calm(sexual=missing))
    loop(Run(), story.facts, Budget(iterations=story.facts.iteration + 1), story.folder, watch=view, notices=notices)
    assert "cannot be fetched" in notices[0]
    assert not (story.folder / "preview.png").exists()


def test_what_is_looked_at_is_what_is_shown(story: Story) -> None:  # noqa: F811
    """Six painted faces and the sheet, before label and watermark; both sides' ages."""
    see = Calm()
    story.view(perception=see)(FakeRun(), story.facts)
    assert (see.looks, see.faces) == (7, 12)
