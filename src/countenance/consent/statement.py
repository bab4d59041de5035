"""The page that the lender reads before signing: what, for whom, how long, how to take it back; in plain words.

The text follows from the terms alone, so that the hash in the record proves which words were shown, and a request
whose words were exchanged is refused at signing.
"""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from countenance.consent.terms import Terms

__all__ = ["LANGUAGE", "PURPOSE_WORDS", "statement_text"]

LANGUAGE = "en"
"""Language of the text (BCP 47)."""

PURPOSE_WORDS = {
    "double": "to hide a witness: your face is shown in place of the face of somebody who must not be recognised",
    "film": "for film and visual effects: your face is shown on another performer's body",
    "dubbing": "for dubbing: your own face is shown with other mouth movements, to fit another language",
    "research": "for research on detecting changed videos: the results are marked and may be shared with researchers",
}
"""What each purpose means, as a person would say it."""


def statement_text(terms: Terms) -> str:
    """The whole page, in lines of at most 100 characters, ending in a line break."""
    parts = [
        _paragraph(f"A REQUEST TO {terms.lender.upper()}: MAY WE SHOW YOUR FACE?"),
        _paragraph(
            "Please read this before you sign. Ask about anything that is not clear. You may say no, and nobody may "
            "treat you worse for it. Signing is done with a key that only you have."
        ),
        *(_synthetic() if terms.synthetic else []),
        _section("WHAT WE ASK", _what(terms)),
        _section("FOR WHOM", _for_whom(terms)),
        _section("HOW LONG", _term(terms)),
        _section("WHAT WE WILL NEVER DO", _never(terms)),
        _section("HOW EVERYBODY CAN TELL", _marks(terms)),
        _section("HOW TO TAKE IT BACK", _revocation(terms)),
        _section("WHAT YOU SIGN", _signature(terms)),
    ]
    return "\n".join(parts)


def _what(terms: Terms) -> list[str]:
    lines = ["We ask to use your face " + "; and ".join(PURPOSE_WORDS[purpose] for purpose in terms.purposes) + "."]
    if terms.train:
        lines.append(
            "To do this, a computer program learns from pictures of you what your face looks like. The program's "
            "model of your face stays with this work"
            + (", and further models may be made from it." if terms.derive else ", and no other model is made from it.")
        )
    else:
        lines.append("No computer program may learn what your face looks like; only what was learnt before is used.")
    if terms.performers:
        lines.append(f"Your face may be shown in place of: {', '.join(terms.performers)}. Of nobody else.")
    else:
        lines.append("Your face may be shown in place of any performer's in this work.")
    return lines


def _for_whom(terms: Terms) -> list[str]:
    return [
        f"This request comes from: {terms.requester}. The work is called “{terms.title}”.",
        f"Where it may be shown: {terms.territory}. What may be made: {', '.join(terms.media)}.",
    ]


def _term(terms: Terms) -> list[str]:
    return [
        f"From {_moment(terms.not_before)} until {_moment(terms.expires)}. After that nothing new may be made.",
        "Another work or another purpose needs a new request, and you decide again.",
    ]


def _never(terms: Terms) -> list[str]:
    return [
        "Your face is never used in sexual content, and never with anybody who appears to be under 18. No signature "
        "can change that, and the program refuses it.",
        f"Your face is not used beyond what this page says{'.' if terms.derive else ', nor for other models.'}",
    ]


def _marks(terms: Terms) -> list[str]:
    label = (
        "A label in the picture says so as well, always."
        if terms.label_required
        else "A label in the picture may be left out: you allow that by signing."
    )
    return [
        "Every result carries a signed note in the file that says a face was replaced with consent, and names this "
        "agreement by a number, not by your name. " + label
    ]


def _revocation(terms: Terms) -> list[str]:
    return [
        "At any time, without giving a reason. Run “countenance consent revoke” with your key and send us the file "
        "that it makes; or simply tell us, and we will enter it.",
        "From then on the program refuses to learn from your face or to show it. What was published before cannot be "
        "called back by a program; ask us to take it down.",
        *_status(terms),
    ]


def _status(terms: Terms) -> list[str]:
    if terms.status is None:
        return []
    return [
        f"Whether it was taken back is also looked up in a list that shows no names: {terms.status.uri}, place "
        f"{terms.status.index}, signed with the key {terms.status.issuer}. Without a fresh list the program refuses."
    ]


def _signature(terms: Terms) -> list[str]:
    return [
        "Your signature covers these words and a measurement of your face, made from pictures of you, which the "
        "program uses to make sure that it works with your face and nobody else's. The measurement itself is not in "
        "what you sign, only its fingerprint.",
        "By signing you say that you are at least 18 years old and that you agree freely.",
        f"Number of this request: {terms.id}",
    ]


def _synthetic() -> list[str]:
    return [
        _paragraph(
            "This face belongs to a SYNTHETIC PERSON, who does not exist. Whoever made the person signs in their "
            "place, and the record says so. If this is your own face, do not sign."
        )
    ]


def _moment(moment: datetime) -> str:
    return f"{moment:%d} {_MONTHS[moment.month - 1]} {moment:%Y, %H:%M} UTC"  # %B would follow the computer's language


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def _paragraph(text: str) -> str:
    return fill(text, width=100, break_long_words=False, break_on_hyphens=False) + "\n"


def _section(title: str, paragraphs: list[str]) -> str:
    body = "\n".join(
        fill(p, width=100, initial_indent="  ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for p in paragraphs
    )
    return f"{title}\n{body}\n"
