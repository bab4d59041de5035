"""gate ▸ model ▸ ledger ▸ page ▸ play: nothing is shown before gate and ledger have had their say."""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from countenance.consent.ledger import Ledger
from countenance.consent.watch import ConsentWatch
from countenance.conversion.pipeline import marked
from countenance.conversion.settings import ConvertSettings
from countenance.digest import file_sha256
from countenance.errors import MarkError
from countenance.media.probe import probe
from countenance.perception.perceive import Perception
from countenance.playback.channel import Channel
from countenance.playback.player import Player, PreviewReport
from countenance.playback.server import PreviewServer
from countenance.provenance.credentials import parent_type
from countenance.provenance.label import LABEL_TEXT, PLAIN_LOOK, draw_label
from countenance.provenance.sign import footage_credentials, sign_picture
from countenance.provenance.watermark import PAYLOAD_BYTES, Watermarker
from countenance.render.job import Job, own_identity
from countenance.render.outputs import Extras
from countenance.training.scores import template_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from countenance.media.probe import VideoInfo
    from countenance.project import Project
    from countenance.provenance.label import LabelLook
    from countenance.provenance.manifest import RenderClaim
    from countenance.provenance.sign import Signs
    from countenance.render.flow import LoadsSwapper
    from countenance.types import UInt8

__all__ = ["Stamp", "preview"]

_JPEG_QUALITY = 90
_FLAGS = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
_STILL = Path("preview.jpg")  # its kind is what counts; there is no such file
_LAST_WORDS_SECONDS = 1.5  # for the page to ask once more how it ended


def preview(
    project: Project,
    footage: Path,
    *,
    lender: str,
    performer: str,
    preset: str = "swift",
    device: str = "auto",
    loop: bool = False,
    look: LabelLook | None = None,
    settings: ConvertSettings | None = None,
    perception: Perception | None = None,
    identity: Signs | None = None,
    load: LoadsSwapper | None = None,
    tell: Callable[[str], None] | None = None,
) -> PreviewReport:
    """Play a swap into a page of this machine at the footage's own frame rate, dropping frames that come too late.

    It asks the same gate as :func:`countenance.render.render`, and each picture is marked and signed as a render is;
    the ledger gets one row for all of them. It begins to play when somebody looks, and ends with the footage or by
    Ctrl-C.

    Args:
        project: with the face sets, the lender's consent record and the trained model.
        footage: a video file of the performer; a camera, a pipe or an address is none.
        lender: whose face is shown.
        performer: whose face is replaced.
        preset: of the model.
        device: where the model runs.
        loop: play again from the start until Ctrl-C.
        look: where and how the label stands; dark, in the lower left, in English when None.
        settings: knobs of the conversion.
        perception: the networks; the real ones when None.
        identity: who signs; this installation when None.
        load: gives the trained model.
        tell: told the address of the page, once it is there.

    Raises:
        ConsentError: no record covers this; there was no page. Or consent was taken back while it was played.
        ProjectError, FaceSetError, CheckpointError: face sets or model cannot be used; there was no page.
        MediaError: the footage is no video file, or breaks off.
        SexualContentError, MinorError: a screen refuses the footage.
        MarkError, LedgerError, OutputError: a picture could not be marked, or the ledger not be written.
    """
    info, look = probe(footage), look or PLAIN_LOOK
    knobs = settings or ConvertSettings()
    perception = perception or Perception()
    # Nothing is written, so the place of the output is never asked for.
    job = Job(project, footage, footage, lender, performer, preset, device, knobs, Extras(), True, look)
    faces = job.lender_faces(perception)
    known = job.performer_faces(perception)
    permit = job.permit(faces, known, perception)
    swapper = job.model(permit, faces, load)
    template = template_of(known)
    watermark = secrets.token_bytes(PAYLOAD_BYTES)
    claim = job.claim(permit, watermark, job.label_text(permit))
    stamp = Stamp(info, footage, watermark, claim, identity or own_identity(), look)
    row = job.row(permit, swapper.facts, file_sha256(footage)) | {"watermark": watermark.hex(), "preview": True}
    Ledger(project.ledger_path).append("render", row)  # one a preview, before anything of it is seen
    channel = Channel()
    player = Player(
        footage,
        info,
        swapper=swapper,
        template=template,
        stamp=stamp,
        perception=perception,
        channel=channel,
        settings=knobs,
        adult_id_checked=permit.adult_id_checked,
        allowed=ConsentWatch(project, permit, "The preview was stopped."),
    )
    with job.screening(), PreviewServer(channel) as server:
        _run(player, channel, loop, lambda: None if tell is None else tell(server.address))
    return replace(player.report(), record_id=permit.record_id, watermark=watermark.hex())


class Stamp:
    """From a painted frame to a JPEG with label, watermark and Content Credentials; nothing else leaves a preview.

    Args:
        info: of the footage.
        footage: the file.
        watermark: the preview's id, five bytes.
        claim: what each picture states.
        identity: who signs.
        look: where and how the label stands, whose words are the claim's.
    """

    def __init__(
        self,
        info: VideoInfo,
        footage: Path,
        watermark: bytes,
        claim: RenderClaim,
        identity: Signs,
        look: LabelLook = PLAIN_LOOK,
    ) -> None:
        self._watermark = Watermarker(watermark, (info.height, info.width))
        self._claim, self._identity, self._look = claim, identity, look
        self._kind = parent_type(footage)
        self._footage = footage_credentials(footage)

    def __call__(self, rgb: UInt8) -> bytes:
        """The picture to show.

        Raises:
            MarkError: a mark could not be made.
        """
        done, jpeg = cv2.imencode(
            ".jpg", cv2.cvtColor(marked(rgb, self._labelled, self._watermark), cv2.COLOR_RGB2BGR), _FLAGS
        )
        if not done:
            raise MarkError("A picture could not be compressed, so it is not shown. Close other programs, try again.")
        signed, _ = sign_picture(
            jpeg.tobytes(),
            _STILL,
            parent_kind=self._kind,
            footage=self._footage,
            claim=self._claim,
            identity=self._identity,
        )
        return signed

    def _labelled(self, rgb: UInt8) -> UInt8:
        return draw_label(rgb, self._claim.label_text or LABEL_TEXT, self._look)


def _run(player: Player, channel: Channel, loop: bool, tell: Callable[[], None]) -> None:
    """Play until the footage ends or Ctrl-C; the page is told how it ended, in every case."""
    message = "The preview has ended."
    try:
        with suppress(KeyboardInterrupt):  # the usual way to end it
            tell()
            while not channel.watched.wait(0.2):
                pass
            player.play()
            while loop:
                player.play()
    except Exception as error:
        message = f"The preview has ended: {error}"
        raise
    finally:
        channel.tell(replace(channel.status(), ended=True, message=message))
        if channel.watched.is_set():
            with suppress(KeyboardInterrupt):
                channel.said.wait(_LAST_WORDS_SECONDS)
