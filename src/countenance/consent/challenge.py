"""A challenge: what the lender is to do before the camera, drawn at random, good for half an hour and for one clip.

The project's ledger keeps the hash of each challenge at the moment at which it is made. So nobody can make up a
challenge afterwards that fits a clip which exists already, and a clip that was taken against one is of no use for
another.
"""

from __future__ import annotations

import html
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from countenance.atomic import output_error, write_bytes
from countenance.consent.clock import Clock, format_time, parse_time, utc_now
from countenance.consent.ledger import Ledger
from countenance.consent.strict_json import canonical, loads, read_bounded, sha256_hex
from countenance.consent.terms import Table
from countenance.errors import ConsentError
from countenance.project import check_person_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from countenance.consent.ledger import Entry
    from countenance.project import Project

__all__ = [
    "LIFETIME",
    "Action",
    "Challenge",
    "challenge_page",
    "create_challenge",
    "draw_actions",
    "parse_challenge",
    "read_challenge",
    "require_open",
    "write_challenge",
]

LIFETIME = timedelta(minutes=30)
"""How long a challenge can be answered."""

_FORMAT = "countenance-capture-challenge"
_VERSION = 1
_WHAT = "The challenge"
_MEMBERS = ("format", "version", "id", "lender", "issued", "expires", "actions")
_FEWEST, _MOST = 5, 7
_MOST_BLINKS = 3
_DIGITS = 6

_CARDS = {
    "turn_left": "Turn your head to your LEFT, as far as you can still see the screen. Then look ahead again.",
    "turn_right": "Turn your head to your RIGHT, as far as you can still see the screen. Then look ahead again.",
    "look_up": "Raise your chin and look UP. Then look ahead again.",
    "look_down": "Lower your chin and look DOWN. Then look ahead again.",
    "open_mouth": "Open your mouth WIDE for a second. Then close it.",
}


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do: ``do`` is a key of the cards, ``blink`` (``times``, 1 to 3) or ``digits`` (six to read out).

    Raises:
        ValueError: anything else.
    """

    do: str
    times: int = 1
    digits: str = ""

    def __post_init__(self) -> None:
        if self.do not in {*_CARDS, "blink", "digits"}:
            raise ValueError(f"nobody knows how to do {self.do[:40]!r}")
        if not 1 <= self.times <= (_MOST_BLINKS if self.do == "blink" else 1):
            raise ValueError(f"{self.do} cannot be asked for {self.times} times")
        good = self.do == "digits" and len(self.digits) == _DIGITS and self.digits.isascii() and self.digits.isdigit()
        if not good and (self.do == "digits" or self.digits):
            raise ValueError("the digits are not six, or stand where none belong")

    @property
    def card(self) -> str:
        """What the lender reads."""
        if self.do == "blink":
            count = {1: "ONCE", 2: "TWICE", 3: "THREE TIMES"}[self.times]
            return f"Close both eyes for a second, {count}. Look ahead."
        if self.do == "digits":
            return f"Read aloud, one by one:  {' '.join(self.digits)}"
        return _CARDS[self.do]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {"do": self.do, "times": self.times, "digits": self.digits}


@dataclass(frozen=True, slots=True)
class Challenge:
    """What was asked of whom; ``issued`` and ``expires`` are aware, in whole seconds."""

    id: str
    lender: str
    issued: datetime
    expires: datetime
    actions: tuple[Action, ...]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "format": _FORMAT,
            "version": _VERSION,
            "id": self.id,
            "lender": self.lender,
            "issued": format_time(self.issued),
            "expires": format_time(self.expires),
            "actions": [action.to_json() for action in self.actions],
        }

    @property
    def sha256(self) -> str:
        """Hash of the canonical JSON, 64 hex digits: what the ledger keeps."""
        return sha256_hex(canonical(self.to_json()))


def draw_actions(choose: Callable[[Sequence[str]], str] = secrets.choice) -> tuple[Action, ...]:
    """Five to seven actions: both turns, a blink, digits, and others; never the same kind twice in a row, even
    with the digits between, since blinks would run together.

    Args:
        choose: takes one out of several; the system's secure source unless a test says otherwise.
    """
    count = int(choose([str(n) for n in range(_FEWEST, _MOST + 1)]))
    left = ["turn_left", "turn_right", "blink", "digits"]
    left += [
        choose(["turn_left", "turn_right", "look_up", "look_down", "open_mouth", "blink"]) for _ in left[: count - 4]
    ]
    while True:
        pool, order = list(left), []
        while pool:
            order.append(pool.pop(pool.index(choose(pool))))
        seen = [do for do in order if do != "digits"]  # what a verifier sees as events
        if all(before != after for before, after in pairwise(seen)):
            return tuple(_action(do, choose) for do in order)


def create_challenge(project: Project, lender: str, *, clock: Clock = utc_now) -> Challenge:
    """Draw a challenge and enter it into the project's ledger.

    Raises:
        ProjectError: not a name. LedgerError, OutputError: the ledger is damaged or cannot be written.
    """
    name = check_person_name(lender)
    now = clock().astimezone(UTC).replace(microsecond=0)
    challenge = Challenge(secrets.token_hex(16), name, now, now + LIFETIME, draw_actions())
    with Ledger(project.ledger_path, clock=lambda: now).exclusive() as book:
        book.verify()
        facts = {"lender": name, "challenge_id": challenge.id, "challenge_sha256": challenge.sha256}
        book.append("challenge", {**facts, "expires": format_time(challenge.expires)})
    return challenge


def write_challenge(project: Project, challenge: Challenge) -> tuple[Path, Path]:
    """Write ``challenge.json`` and the page ``challenge.html`` into the lender's folder (raises OutputError)."""
    folder = project.person_dir(challenge.lender)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    path, page = folder / "challenge.json", folder / "challenge.html"
    write_bytes(page, challenge_page(challenge).encode("utf-8"))
    write_bytes(path, canonical(challenge.to_json()))
    return path, page


def read_challenge(path: Path) -> Challenge:
    """Read a challenge (raises ConsentError: missing, damaged, or not one that could have been drawn)."""
    return parse_challenge(read_bounded(path, _WHAT))


def parse_challenge(data: bytes) -> Challenge:
    """Read what :meth:`Challenge.to_json` gave.

    Raises:
        ConsentError: it is damaged or no challenge. Whether this project made it is for :func:`require_open` to say.
    """
    try:
        table = Table(loads(data, _WHAT), "the challenge", _MEMBERS)
        if table.raw("format") != _FORMAT or table.raw("version") != _VERSION:
            raise ValueError("it is of another kind or version")  # noqa: TRY301 - one place turns them into sentences
        listed = table.raw("actions")
        if not isinstance(listed, list):
            raise TypeError("its actions are not a list")  # noqa: TRY301
        actions = tuple(_parse_action(value) for value in listed)
        challenge = Challenge(
            table.text("id"),
            check_person_name(table.text("lender")),
            parse_time(table.text("issued")),
            parse_time(table.text("expires")),
            actions,
        )
    except (ValueError, TypeError) as error:
        raise ConsentError(f"{_WHAT} is not valid ({error}). Make a new one: countenance consent challenge.") from error
    return challenge


def require_open(challenge: Challenge, lender: str, clip_sha256: str, entries: Sequence[Entry], now: datetime) -> None:
    """Refuse a challenge that this project did not make, that has ended or was answered, and a clip seen before.

    Args:
        challenge: as it was read.
        lender: whose it has to be.
        clip_sha256: hash of the clip that answers it.
        entries: the project's ledger, its chain verified.
        now: aware.

    Raises:
        ConsentError: with the reason.
    """
    again = "Make a new one: countenance consent challenge."
    if challenge.lender != lender:
        raise ConsentError(f"The challenge was made for {challenge.lender}, not for {lender}. {again}")
    made = [e.facts for e in entries if e.kind == "challenge" and e.facts.get("challenge_id") == challenge.id]
    if not made:
        raise ConsentError(f"This project did not make the challenge. {again}")
    if made[-1].get("challenge_sha256") != challenge.sha256:
        raise ConsentError(f"The challenge was changed after it was made. {again}")
    if any(e.kind != "challenge" and e.facts.get("challenge_id") == challenge.id for e in entries):
        raise ConsentError(f"The challenge was answered before, and each holds for one clip only. {again}")
    if any(e.facts.get("clip_sha256") == clip_sha256 for e in entries):
        raise ConsentError(f"This very clip was handed in before. Film the answer to a new challenge. {again}")
    if now >= challenge.expires:
        raise ConsentError(f"The challenge ended on {challenge.expires:%Y-%m-%d %H:%M} UTC. {again}")
    if now < challenge.issued:
        raise ConsentError(
            f"The challenge is of {challenge.issued:%Y-%m-%d %H:%M} UTC, which is still to come. Set the clock right."
        )


def challenge_page(challenge: Challenge) -> str:
    """The page with the cards, one below the other: HTML that loads nothing and runs nothing."""
    cards = "\n".join(
        f"<section><small>{number} of {len(challenge.actions)}</small><p>{html.escape(action.card)}</p></section>"
        for number, action in enumerate(challenge.actions, 1)
    )
    return _PAGE.format(lender=html.escape(challenge.lender), until=f"{challenge.expires:%H:%M}", cards=cards)


def _action(do: str, choose: Callable[[Sequence[str]], str]) -> Action:
    if do == "blink":
        return Action(do, times=int(choose([str(n + 1) for n in range(_MOST_BLINKS)])))
    if do == "digits":
        return Action(do, digits="".join(choose("0123456789") for _ in range(_DIGITS)))
    return Action(do)


def _parse_action(value: object) -> Action:
    table = Table(value, "an action", ("do", "times", "digits"))
    times = table.number("times")
    if times != int(times):
        raise ValueError("times is no whole number")
    return Action(table.text("do"), int(times), table.text("digits"))


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Challenge for {lender}</title>
<style>
body {{ font: 1.2rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 46rem; padding: 1rem; }}
section {{ border: 3px solid; border-radius: 1rem; min-height: 70vh; margin: 2rem 0; padding: 1.5rem; }}
section p {{ font-size: 2.6rem; line-height: 1.3; margin: 1rem 0; }}
</style>
<h1>Challenge for {lender}</h1>
<p>Film one clip without a break, of your face alone, evenly lit, not mirrored. Look ahead for a second. Do what each
card says, in this order, and look ahead for a second after each. The clip must be handed in by {until} UTC.</p>
{cards}
</html>
"""
