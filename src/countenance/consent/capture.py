"""A clip against its challenge: the right things in the right order, by one living face; and the template made of it.

What this can and cannot know stands in docs/guides/consent-capture.md. In short: it hears nothing, so nobody but a
human witness can say whether the digits were read; and a film that is painted live over another person's face, or a
mask with a moving face in it, is not what it looks for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from countenance.atomic import write_bytes
from countenance.consent.challenge import Action, Challenge, read_challenge, require_open
from countenance.consent.clock import Clock, format_time, utc_now
from countenance.consent.ledger import Ledger
from countenance.consent.match import unit_rows
from countenance.consent.motion import Event, Seen, events_of, flat_residual, looks_ahead, mouth_moves
from countenance.consent.observe import Observed, observe
from countenance.consent.strict_json import canonical, sha256_hex
from countenance.consent.template import FaceTemplate, enrol, save_template
from countenance.digest import file_sha256
from countenance.errors import ConsentError, CountenanceError, InputError, NoFaceError, RefusedError
from countenance.project import check_person_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from countenance.perception.perceive import Perception
    from countenance.progress import Progress
    from countenance.project import Project

__all__ = ["NOT_CHECKED", "Capture", "Done", "capture", "check_actions", "check_identity"]

NOT_CHECKED = (
    "that the digits on the card were the ones that were said: a witness has to listen",
    "that no face was painted over another one while the clip was filmed",
    "that nobody wore a mask that moves like a face",
)
"""What a passed capture does not prove, as its evidence says."""

_LONGEST_PAUSE = 15.0  # seconds between two things that are to be done
_DIGITS_SECONDS = 2.0  # six digits cannot be read in less
_DIGITS_PAUSE = 15.0
_LONGEST_ACT = 10.0

# Left over of a plane that turns: tilted photographs of the synthetic performers 0.002 to 0.014 (up to 50 degrees);
# their own turns and nods of an action's size at least 0.018, 0.03 in the middle.
_DEPTH = 0.015

# Two single pictures of one person differ much by pose: A and A 0.45, B and B 0.49 at least, A and B at most 0.63. So
# this line finds only strangers; enrolment's rules on each face and the mean, and on two halves, find the others.
_STRANGERS_COSINE = 0.4

_ASKED = {
    "turn_left": "a turn to the left",
    "turn_right": "a turn to the right",
    "look_up": "a look up",
    "look_down": "a look down",
    "open_mouth": "an open mouth",
    "blink": "shut eyes",
    "digits": "digits read aloud",
}
_AGAIN = "Make a new challenge and film it again."


@dataclass(frozen=True, slots=True)
class Done:
    """An action that was found in the clip, from ``start`` to ``end`` in seconds."""

    action: Action
    start: float
    end: float

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**self.action.to_json(), "start": round(self.start, 2), "end": round(self.end, 2)}


@dataclass(frozen=True, slots=True)
class Capture:
    """A clip that passed: its ``template`` and ``evidence`` lie at ``template_path`` and ``evidence_path``."""

    template: FaceTemplate
    evidence: dict[str, Any]
    template_path: Path
    evidence_path: Path


def capture(
    project: Project,
    lender: str,
    clip: Path,
    *,
    challenge: Path | None = None,
    again: bool = False,
    perception: Perception | None = None,
    clock: Clock = utc_now,
    progress: Progress | None = None,
) -> Capture:
    """Verify a clip against its challenge, and enrol the face in it.

    The answer uses the challenge up, whether the clip passes or not; either way it is a row in the ledger. Only a clip
    that cannot be decoded leaves the challenge open.

    Args:
        project: whose ledger the challenge is in.
        lender: whose face it should be.
        clip: the film, in one go.
        challenge: its file; ``challenge.json`` in the lender's folder when None.
        again: replace a template; a record that is about the old one does not hold any more.
        perception: the networks; the real ones when None.
        clock: gives the present.
        progress: is told seconds of the clip.

    Raises:
        ConsentError: challenge or clip do not hold; the message says why.
        NoFaceError: no face, or one that cannot be measured.
        MinorError: the person appears under age.
        InputError: a template is there already. MediaError: the clip cannot be decoded.
        LedgerError, OutputError: the ledger is damaged, or something cannot be written.
    """
    from countenance.media.read import read_frames

    name = check_person_name(lender)
    path = project.template_path(name)
    if path.exists() and not again:
        raise InputError(
            f"{name}'s face is enrolled already. Capturing it again makes a consent record about the old template "
            "useless; to do that, say so (--again)."
        )
    asked = read_challenge(challenge or project.person_dir(name) / "challenge.json")
    now = clock()
    ledger = Ledger(project.ledger_path, clock=lambda: now)
    ledger.verify()
    clip_sha256 = file_sha256(clip)
    require_open(asked, name, clip_sha256, ledger.entries(), now)
    refused: CountenanceError | None = None
    try:
        template, evidence = _judge(asked, observe(read_frames(clip), perception or _networks(), progress))
        if file_sha256(clip) != clip_sha256:
            raise ConsentError(f"{clip} changed while it was looked at. {_AGAIN}")
    except (RefusedError, NoFaceError) as error:
        refused = error
    about = {"lender": name, "challenge_id": asked.id, "challenge_sha256": asked.sha256, "clip_sha256": clip_sha256}
    with ledger.exclusive() as book:  # once more while nobody else can use the challenge up
        book.verify()
        require_open(asked, name, clip_sha256, book.entries(), now)
        if refused is not None:
            book.append("refusal", {**about, "act": "capture", "reason": str(refused)[:2000]})
        else:
            evidence = {**about, "time": format_time(now), "challenge": asked.to_json(), **evidence}
            data = canonical(evidence)
            found = {"template_sha256": template.sha256(), "evidence_sha256": sha256_hex(data)}
            book.append("capture", {**about, **found})
            evidence_path = project.person_dir(name) / "capture.json"
            write_bytes(evidence_path, data)
            save_template(path, template, project.key())
    if refused is not None:
        raise refused
    return Capture(template, evidence, path, evidence_path)


def check_actions(actions: Sequence[Action], seen: Sequence[Seen]) -> tuple[tuple[Done, ...], float]:
    """Find the actions in what was seen: all of them, in order, nothing else between, and with depth.

    Returns:
        The actions with their times, and the least depth that a turn or nod showed (see
        :func:`~countenance.consent.motion.flat_residual`).

    Raises:
        ConsentError: with the first thing that is wrong, and when.
    """
    ahead = looks_ahead(seen)
    if ahead is None:
        raise ConsentError(f"The clip does not begin with a still face that looks ahead. {_AGAIN}")
    events = events_of(seen, ahead)
    wanted = [action for action in actions if action.do != "digits"]
    for number, (action, event) in enumerate(zip(wanted, events, strict=False), 1):
        _require_same(action, event, number)
    if len(events) < len(wanted):
        missing = _words(wanted[len(events)].do, wanted[len(events)].times)
        raise ConsentError(f"The clip ends without {missing}, which the challenge asks for. {_AGAIN}")
    if len(events) > len(wanted):
        extra = events[len(wanted)]
        raise ConsentError(f"At {extra.start:.1f} s there is {_words(extra.do, extra.times)} too many. {_AGAIN}")
    depth = _require_depth(events, seen)
    return _with_digits(actions, events, seen), depth


def check_identity(observed: Observed) -> tuple[FaceTemplate, float]:
    """The template of the one person in a clip, and the least cosine between any two of its faces.

    Raises:
        ConsentError: the faces are not of one person throughout.
        NoFaceError: there are too few. MinorError: the person appears under age.
    """
    rows = unit_rows(np.array(observed.embeddings, np.float64))
    lowest = -1.0 if rows is None else float((rows @ rows.T).min())
    changed = f"The clip does not show one and the same person throughout. {_AGAIN}"
    if lowest < _STRANGERS_COSINE:
        raise ConsentError(changed)
    try:
        return enrol(np.array(observed.embeddings), observed.ages), lowest
    except NoFaceError as error:
        raise ConsentError(changed) from error


def _judge(challenge: Challenge, observed: Observed) -> tuple[FaceTemplate, dict[str, Any]]:
    template, lowest = check_identity(observed)
    done, depth = check_actions(challenge.actions, observed.seen)
    evidence = {
        "format": "countenance-capture-evidence",
        "version": 1,
        "seconds": round(observed.seen[-1].seconds, 2),
        "frames": len(observed.seen),
        "actions": [action.to_json() for action in done],
        "faces_measured": len(observed.embeddings),
        "lowest_cosine": round(lowest, 4),
        "depth": round(depth, 4),
        "apparent_age": template.apparent_age,
        "template_sha256": template.sha256(),
        "not_checked": list(NOT_CHECKED),
    }
    return template, evidence


def _require_same(action: Action, event: Event, number: int) -> None:
    if (action.do, action.times) != (event.do, event.times):
        raise ConsentError(
            f"At {event.start:.1f} s the challenge asks for {_words(action.do, action.times)} (movement {number}), and "
            f"the clip shows {_words(event.do, event.times)}. {_AGAIN}"
        )
    if event.end - event.start > _LONGEST_ACT * event.times:
        raise ConsentError(
            f"From {event.start:.1f} s on, {_words(event.do, event.times)} lasts longer than "
            f"{_LONGEST_ACT:.0f} s. {_AGAIN}"
        )


def _require_depth(events: Sequence[Event], seen: Sequence[Seen]) -> float:
    """The least depth that the events with a moving head show."""
    moved = [event for event in events if event.do.startswith(("turn", "look"))]
    depths = [flat_residual(seen[event.ahead].points_xy, seen[event.peak].points_xy) for event in moved]
    least = min(depths, default=0.0)
    if least < _DEPTH:
        where = f" at {seen[moved[int(np.argmin(depths))].peak].seconds:.1f} s" if moved else ""
        raise ConsentError(
            f"The face{where} is flat like a photograph, not a head that turns. Film the lender in person."
        )
    return least


def _with_digits(actions: Sequence[Action], events: Sequence[Event], seen: Sequence[Seen]) -> tuple[Done, ...]:
    """The actions with their times; the digits fill the time between their neighbours."""
    done: list[Done] = []
    left = list(events)
    for action in actions:
        last = done[-1].end if done else seen[0].seconds
        following = left[0].start if left else seen[-1].seconds
        if action.do == "digits":
            if following - last < _DIGITS_SECONDS or not mouth_moves(seen, last, following):
                raise ConsentError(
                    f"Between {last:.1f} and {following:.1f} s the digits should be read aloud, and the mouth does not "
                    f"move as in speech. {_AGAIN}"
                )
            done.append(Done(action, last, following))
            continue
        event = left.pop(0)
        spoken = bool(done) and done[-1].action.do == "digits"
        pause = event.start - (done[-1].start if spoken else last)
        if pause > _LONGEST_PAUSE + (_DIGITS_PAUSE if spoken else 0.0):
            raise ConsentError(
                f"Before {event.start:.1f} s nothing is done for {pause:.0f} s. {_AGAIN} Leave a second between cards."
            )
        done.append(Done(action, event.start, event.end))
    return tuple(done)


def _words(do: str, times: int) -> str:
    return _ASKED[do] + (f" {times} times" if times > 1 else "")


def _networks() -> Perception:
    from countenance.perception.perceive import Perception

    return Perception()
