"""A view of a running training, without a server: a preview sheet and curves in the model's folder, after each score.

The preview shows swapped faces, so it is made like a render: the consent record must be in force at that moment, the
screens look at what was painted, the sheet carries label, watermark and signed Content Credentials, and the ledger
knows its watermark. It exists only with all of them.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from countenance.atomic import output_error, sync_folder, work_folder, write_bytes
from countenance.consent.clock import Clock, utc_now
from countenance.consent.cover import Work, reasons_against
from countenance.consent.ledger import Ledger
from countenance.consent.record import parse_record
from countenance.consent.refusals import refusals_entered
from countenance.consent.strict_json import read_bounded
from countenance.conversion.screens import SheetScreen
from countenance.curves import curves_png
from countenance.errors import ConsentError, MinorError, SexualContentError
from countenance.fonts import dejavu
from countenance.provenance.label import LABEL_TEXT, draw_label, label_plate, label_text
from countenance.provenance.watermark import PAYLOAD_BYTES, Watermarker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from countenance.consent.record import ConsentRecord
    from countenance.perception.perceive import Perception
    from countenance.project import Project
    from countenance.provenance.sign import Signs
    from countenance.training.checkpoint import CheckpointFacts
    from countenance.training.runs import Run
    from countenance.types import UInt8

__all__ = ["LiveView", "coverage_of", "preview_sheet"]

_WORK_PREFIX = ".countenance-preview-"
_STOPPED = "The training was stopped, and nothing more of it was saved."
_COLUMNS, _MOST_PAIRS = 3, 6

_PAPER, _INK, _SOFT = (62, 62, 62), (232, 232, 232), (168, 168, 168)  # a neutral grey, against which skin is judged
_MARGIN = 1 / 18  # of what is between: 5 % of the whole, where the label begins, too
_HEAD, _CAPTION, _BETWEEN, _PAIR_GAP, _FOOT_GAP = 92, 26, 28, 4, 14
_GRAIN = 4.0  # levels of noise on the grey, which hides the watermark


class LiveView:
    """Refreshes ``preview.png``, ``curves.png`` and, once, ``coverage.png`` in a model's folder.

    There is no ``preview.png`` of a protected witness, whose hair and room it would show.

    Called by the training loop after each score, so at most once a minute, at the start and at the end. All previews of
    one view carry one watermark id, which is one row in the ledger.

    Args:
        project: with the lender's consent record and the ledger.
        lender: whose face is shown.
        performer: whose face is replaced.
        preset: of the model.
        coverage: a PNG without faces to write as ``coverage.png`` when training has begun.
        identity: who signs; this installation when None.
        perception: the networks; the real ones when None.
        clock: gives the present.

    Raises:
        ProjectError: not a name, or an unknown preset.
    """

    def __init__(
        self,
        project: Project,
        lender: str,
        performer: str,
        preset: str,
        *,
        coverage: bytes | None = None,
        identity: Signs | None = None,
        perception: Perception | None = None,
        clock: Clock = utc_now,
    ) -> None:
        if perception is None:
            from countenance.perception.perceive import Perception

            perception = Perception()
        self._screens = SheetScreen(perception, "training's preview")
        self._project, self._preset, self._clock = project, preset, clock
        self._work = Work(project.config.title, project.config.purpose, lender, performer, "train")
        self._coverage, self._identity = coverage, identity
        self._watermark, self._logged = secrets.token_bytes(PAYLOAD_BYTES), False
        folder = project.model_dir(lender, performer, preset)
        self.preview, self.curves, self.coverage = (
            folder / name for name in ("preview.png", "curves.png", "coverage.png")
        )

    def __call__(self, run: Run, facts: CheckpointFacts) -> None:
        """Write the pictures anew, each complete or not at all.

        Args:
            run: gives the faces; it goes on as if it had not been asked.
            facts: where it stands.

        Raises:
            ConsentError: the record is not in force any more, or is another one; nothing is written.
            SexualContentError, MinorError: a screen refuses what was painted; there is no preview any more, and the
                refusal is in the ledger.
            LedgerError: the ledger was tampered with; nothing is written.
            MarkError: a mark could not be made; the preview is as it was.
            OutputError: disk full or no permission; what could not be written is as it was.
        """
        record = self._record(facts)
        try:
            self.preview.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(self.preview.parent, error) from error
        if self._coverage is not None:
            write_bytes(self.coverage, self._coverage)
            self._coverage = None
        write_bytes(self.curves, curves_png(facts.history))
        if self._project.protects(str(self._work.performer)):
            self.preview.unlink(missing_ok=True)  # from before it was noted
            return
        pairs = run.preview()
        if pairs and self._may_be_shown(pairs, facts, record):
            text = label_text(synthetic=record.synthetic, language=record.language)
            self._write_preview(self._marked(pairs, facts, text), facts, record, text)

    def _may_be_shown(
        self, pairs: Sequence[tuple[UInt8, UInt8]], facts: CheckpointFacts, record: ConsentRecord
    ) -> bool:
        """Ask the screens, before any mark is drawn that could hide something from them."""
        about = {"lender": self._work.lender, "performer": str(self._work.performer), "act": "train"}
        try:
            with refusals_entered(self._project, **about, at="the training's preview"):
                sheet = preview_sheet(pairs, _headings(facts))
                return self._screens(pairs, sheet, adult_id_checked=record.adult_id_checked)
        except (SexualContentError, MinorError) as error:
            self.preview.unlink(missing_ok=True)  # an older one shows the same people
            raise type(error)(f"{_STOPPED} {error}") from error

    def _record(self, facts: CheckpointFacts) -> ConsentRecord:
        """The record that the model is trained under, if it still covers this work."""
        ledger = Ledger(self._project.ledger_path, clock=self._clock)
        ledger.verify([facts.ledger_entry])
        lender = self._work.lender
        path = self._project.consent_path(lender)
        if not path.exists():
            raise ConsentError(f"The consent record of {lender} is gone, so there is no preview. Put it back.")
        record = parse_record(read_bounded(path, f"The consent record of {lender}"))
        reasons = reasons_against(record, self._work, self._clock(), ledger.entries())
        if record.sha256 != facts.record_sha256:
            reasons.insert(0, f"The model is trained under another one ({facts.record_id}).")
        if reasons:
            raise ConsentError(f"The consent record of {lender} allows no preview any more. " + " ".join(reasons))
        return record

    def _marked(self, pairs: Sequence[tuple[UInt8, UInt8]], facts: CheckpointFacts, text: str) -> UInt8:
        """The sheet with label and watermark; each swap is marked by itself too, for those who cut one out.

        One still has to give the whole id. Six sheets of six pairs, marked once like a render, scored 13 to 15 on
        plain grey (five were read) and 17 to 19 on grain (all were read). So the ground, where nobody judges a face,
        is marked twice: 24 to 28.
        """
        crop_mark = Watermarker(self._watermark, pairs[0][0].shape[:2])
        plain = preview_sheet([(before, crop_mark(swap)) for before, swap in pairs], _headings(facts), text)
        mark = Watermarker(self._watermark, plain.shape[:2])
        once = mark(draw_label(plain, text))
        ground = (plain == plain[..., :1]).all(axis=2, keepdims=True)
        return np.where(ground, mark(once), once)

    def _write_preview(self, sheet: UInt8, facts: CheckpointFacts, record: ConsentRecord, text: str) -> None:
        """Sign in a private folder; only what is signed, checked and logged takes the name."""
        from countenance.provenance.manifest import RenderClaim
        from countenance.provenance.scope import scope_sha256
        from countenance.provenance.sign import sign_file

        claim = RenderClaim(
            record_id=record.id,
            record_sha256=record.sha256,
            purpose=self._work.purpose,
            made_at=self._clock(),
            preset=self._preset,
            label_text=text,
            watermark_id=self._watermark,
            synthetic=record.synthetic,
            screens=("sexual-content", "apparent-age"),
            scope_sha256=scope_sha256(record),
        )
        # The footage of a preview is the performer's face set; of a parent only the kind and its credentials are told.
        parent = self._project.faceset_path(str(self._work.performer))
        with work_folder(self.preview.parent, _WORK_PREFIX) as work:
            unsigned, signed = work / "sheet.png", work / "preview.png"
            try:
                Image.fromarray(sheet).save(unsigned, "PNG", compress_level=3)  # 6 takes twice as long for 3 % less
            except OSError as error:
                raise output_error(self.preview, error) from error
            sign_file(unsigned, signed, parent=parent, claim=claim, identity=self._signer(), timestamp=False)
            self._log(facts, record)
            try:
                signed.chmod(0o600)  # it shows the performer, who may be a witness to be hidden
                signed.replace(self.preview)
                sync_folder(self.preview.parent)
            except OSError as error:
                raise output_error(self.preview, error) from error

    def _signer(self) -> Signs:
        if self._identity is None:
            from countenance.project import user_data_dir
            from countenance.provenance.identity import SigningIdentity

            self._identity = SigningIdentity.load_or_create(user_data_dir())
        return self._identity

    def _log(self, facts: CheckpointFacts, record: ConsentRecord) -> None:
        """One row a view: a row a minute would bury the renders."""
        if self._logged:
            return
        row = {
            "lender": self._work.lender,
            "performer": self._work.performer,
            "purpose": self._work.purpose,
            "record_id": record.id,
            "record_sha256": record.sha256,
            "watermark": self._watermark.hex(),
            "preset": self._preset,
            "iteration": facts.iteration,
            "preview": True,
        }
        Ledger(self._project.ledger_path, clock=self._clock).append("render", row)
        self._logged = True


_TOLD = {"held_out_ssim": "held-out SSIM {:.3f}", "held_out_identity_margin": "identity margin {:+.3f}"}


class _Headings(NamedTuple):
    title: str
    where: str
    scores: str


def _headings(facts: CheckpointFacts) -> _Headings:
    last = facts.history[-1] if facts.history else {}
    scores = "   ".join(text.format(last[name]) for name, text in _TOLD.items() if name in last)
    name = str(facts.preset.get("name", "model"))
    where = f"{name}, iteration {facts.iteration:,}, {facts.seconds / 60.0:.1f} minutes"
    return _Headings("Training preview", where, scores)


def coverage_of(project: Project, lender: str, performer: str) -> tuple[tuple[str, ...], bytes | None]:
    """What two face sets lack, and the picture of both; nothing of sets that training will refuse, saying why."""
    from countenance.errors import FaceSetError
    from countenance.faceset.coverage import gaps, measure
    from countenance.faceset.coverage_picture import coverage_png
    from countenance.faceset.store import FaceSet
    from countenance.faceset.use import MINIMUM_FACES

    sides = []
    try:
        for name in (lender, performer):
            with FaceSet.open(project.faceset_path(name), project.key()) as faceset:
                sides.append(measure(faceset, name))
    except FaceSetError:
        return (), None
    if min(len(side) for side in sides) < MINIMUM_FACES:
        return (), None
    return gaps(sides[0], sides[1]), coverage_png(sides[0], sides[1])


def preview_sheet(
    pairs: Sequence[tuple[UInt8, UInt8]], headings: tuple[str, str, str], label: str = LABEL_TEXT
) -> UInt8:
    """Footage and swap side by side on grey, three pairs a row, at most six: uint8 ``(H, W, 3)``, still unmarked.

    The foot is left free for the label.

    Args:
        pairs: at least one; uint8 ``(S, S, 3)`` each, all of one size.
        headings: title, where the training stands, its scores.
        label: what it will say.
    """
    shown = [pairs[row] for row in np.linspace(0, len(pairs) - 1, min(len(pairs), _MOST_PAIRS)).round().astype(int)]
    size = shown[0][0].shape[0]
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    pair_width = 2 * size + _PAIR_GAP
    between = columns * pair_width + (columns - 1) * _BETWEEN
    margin = 2 * round(_MARGIN * between / 2)
    width = 2 * margin + between
    top = _HEAD + rows * (_CAPTION + size) + (rows - 1) * _BETWEEN // 2
    height = _with_room_for_label(top + _FOOT_GAP, width, label)
    sheet = _paper(height, width)
    pen = ImageDraw.Draw(sheet)
    pen.text((margin, 34), headings[0], font=dejavu("DejaVuSans-Bold.ttf", 23), fill=_INK, anchor="lm")
    pen.text((margin, 68), headings[1], font=dejavu("DejaVuSans.ttf", 17), fill=_SOFT, anchor="lm")
    beside = columns > 1  # one pair alone has no room beside the title
    place = (width - margin, 68) if beside else (margin, _HEAD - 4)
    pen.text(place, headings[2], font=dejavu("DejaVuSans.ttf", 17), fill=_SOFT, anchor="rm" if beside else "lm")
    small = dejavu("DejaVuSans.ttf", 13)
    for number, pair in enumerate(shown):
        row, column = divmod(number, columns)
        left = margin + column * (pair_width + _BETWEEN)
        upper = _HEAD + row * (_CAPTION + size + _BETWEEN // 2) + _CAPTION
        for place_in_pair, (picture, name) in enumerate(zip(pair, ("footage", "swap"), strict=True)):
            x = left + place_in_pair * (size + _PAIR_GAP)
            sheet.paste(Image.fromarray(picture), (x, upper))
            if beside or number:
                pen.text((x, upper - 5), name, font=small, fill=_SOFT, anchor="ls")
    return np.array(sheet, np.uint8)


def _paper(height: int, width: int) -> Image.Image:
    """Grey with a fine grain: on a plain ground the watermark is seen as streaks."""
    grain = np.random.default_rng(0).normal(_PAPER[0], _GRAIN, (height, width, 1))
    return Image.fromarray(np.repeat(np.round(grain).astype(np.uint8), 3, axis=2))


def _with_room_for_label(used: int, width: int, label: str) -> int:
    """The least height at which the label stands below what is used."""
    height = used
    while label_plate((height, width), label).top < used:
        height += 2
    return height
