"""An account of a recording: what somebody who was there wrote, signed together with every frame under their name.

"A video counts only when somebody stands behind it." The account is an assertion of ours in the recording's Content
Credentials, beside the recording's fingerprint. A program can show that neither has changed since and who signed; that
the account is true is the signer's word.
"""

from __future__ import annotations

import hashlib
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from countenance import __version__
from countenance.errors import InputError
from countenance.provenance.fingerprint import read_tracks, write_tracks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from countenance.provenance.fingerprint import Track

__all__ = ["ACCOUNT_LABEL", "ACCOUNT_LIMIT", "Account", "account_manifest", "read_account", "shown", "written_account"]

ACCOUNT_LABEL = "org.countenance.account"
"""Label of our assertion: the account and the recording's fingerprint."""

ACCOUNT_LIMIT = 64 * 1024
"""Longest account in bytes of UTF-8."""

_TIME = "%Y-%m-%dT%H:%M:%SZ"
_JOINERS = "\u200c\u200d"  # scripts such as Persian and Malayalam need them inside words
_WIDTH = 76
_NOT_FOR_TRAINING = {
    use: {"use": "notAllowed"}
    for use in ("c2pa.data_mining", "c2pa.ai_training", "c2pa.ai_generative_training", "c2pa.ai_inference")
}


@dataclass(frozen=True, slots=True)
class Account:
    """What a signer states of a recording.

    ``text`` is the account as written, plain text or Markdown; ``made_at`` when it was signed by the signer's clock, in
    UTC; ``recording_sha256`` the hash of the file before it was signed; ``tracks`` its fingerprint.
    """

    text: str
    made_at: datetime
    recording_sha256: str
    tracks: tuple[Track, ...]

    @property
    def text_sha256(self) -> str:
        """Hash of the account's UTF-8, which is the hash of the file that it came from."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()


def written_account(data: bytes, what: str) -> str:
    """The text of an account, fit to be signed: what a person reads is what is stored.

    Args:
        data: the file's bytes.
        what: its name in messages.

    Raises:
        InputError: too long, empty, no UTF-8, or with characters that nobody sees and that could change how it reads.
    """
    if len(data) > ACCOUNT_LIMIT:
        raise InputError(f"{what} is longer than {ACCOUNT_LIMIT // 1024} KiB. Write a shorter account.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{what} is not a text in UTF-8. Save it as plain text in UTF-8.") from error
    if not text.strip("\ufeff \t\r\n"):
        raise InputError(f"{what} is empty. Write what was seen: when, where, by whom, and how you know.")
    hidden = _hidden(text)
    if hidden is not None:
        raise InputError(
            f"{what} has a character in line {hidden[0]} that cannot be seen (U+{ord(hidden[1]):04X}) and could make "
            "it read otherwise than it is stored. Take it out."
        )
    return text


def _hidden(text: str) -> tuple[int, str] | None:
    """The first character that nobody sees, and its line."""
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        for letter in line:
            if not _fit(letter):
                return number, letter
    return None


def _fit(letter: str) -> bool:
    return letter.isprintable() or letter in f"\t{_JOINERS}"


def account_manifest(account: Account, media_type: str) -> dict[str, Any]:
    """The manifest of an attested recording, as c2pa's builder takes it, without the ingredient.

    Args:
        account: what is stated.
        media_type: MIME type of the recording.
    """
    stated = {
        "schema": 1,
        "made_at": account.made_at.astimezone(UTC).strftime(_TIME),
        "text": account.text,
        "text_sha256": account.text_sha256,
        "recording_sha256": account.recording_sha256,
        "tracks": write_tracks(account.tracks),
    }
    return {
        "claim_generator_info": [{"name": "Countenance", "version": __version__}],
        "title": "Recording with an account",  # neutral: a file's name may name a person or a place
        "format": media_type,
        "ingredients": [],
        "assertions": [
            {"label": ACCOUNT_LABEL, "data": stated},
            {"label": "c2pa.training-mining", "data": {"entries": _NOT_FOR_TRAINING}},
        ],
    }


def read_account(manifest: Mapping[str, Any]) -> Account | None:
    """The account in a manifest, or None when there is none that :func:`written_account` would have let through.

    Args:
        manifest: one manifest as ``c2pa.Reader.json`` gives it. Not to be believed before the signature is checked.
    """
    data = None
    for assertion in manifest.get("assertions") or ():
        if isinstance(assertion, dict) and assertion.get("label") == ACCOUNT_LABEL:
            data = assertion.get("data")
    if not isinstance(data, dict) or data.get("schema") != 1:
        return None
    try:
        text = data["text"]
        account = Account(
            text=text,
            made_at=datetime.strptime(data["made_at"], _TIME).replace(tzinfo=UTC),
            recording_sha256=str(data["recording_sha256"])[:64],
            tracks=read_tracks(data["tracks"]),
        )
        short = len(text.encode("utf-8")) <= ACCOUNT_LIMIT
        good = short and _hidden(text) is None and account.text_sha256 == data["text_sha256"]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return account if good else None


def shown(text: str) -> str:
    """A stranger's account, made fit for a terminal.

    Control characters are gone, long lines are broken, and every line has a bar before it: no account can pass for a
    line of this program.
    """
    lines = []
    for line in text.removeprefix("\ufeff").splitlines():
        plain = "".join(letter if _fit(letter) else " " for letter in line).expandtabs(4)
        lines += textwrap.wrap(plain, _WIDTH, drop_whitespace=False, break_on_hyphens=False) or [""]
    return "\n".join(f"  | {line}".rstrip() for line in lines)
