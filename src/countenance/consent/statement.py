"""The page that the lender and the witness read before signing, in plain words.

The text follows from the terms alone, so that the hash in the record proves which words were shown, and a request
whose words were exchanged is refused at signing. As a web page it has the same words (:func:`statement_page`).
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from itertools import groupby
from textwrap import fill
from typing import TYPE_CHECKING

from countenance.consent.evidence import DOCUMENT_KINDS
from countenance.consent.parties import AUTHORITY_KINDS

if TYPE_CHECKING:
    from datetime import datetime

    from countenance.consent.terms import Role, Terms

__all__ = ["LANGUAGE", "purpose_words", "statement_page", "statement_text"]

LANGUAGE = "en"
"""Language of the text (BCP 47)."""

_PURPOSES = {
    "double": "to protect somebody who must not be recognised: {face} is shown in place of theirs",
    "film": "for film and visual effects: {face} is shown on another performer's body",
    "dubbing": "for dubbing: {face} is shown with other mouth movements, to fit another language",
    "research": "for research on detecting changed videos: the results are marked and may be shared with researchers",
}


_PURPOSES_REPLACED = {
    "double": "so that {face} is not seen: another is shown in its place",
    "film": "for film and visual effects: another person's face is shown on the same body",
    "dubbing": "for dubbing: another face, with mouth movements that fit another language, is shown in its place",
    "research": "for research on detecting changed videos: the results are marked and may be shared with researchers",
}


@dataclass(frozen=True, slots=True)
class _Section:
    """A title and its paragraphs; one that begins with a dash is a point of a list."""

    title: str
    paragraphs: list[str]


def purpose_words(purpose: str, face: str, role: Role = "lend") -> str:
    """What a purpose means, as a person would say it; ``face`` is for example ``"your face"``."""
    return (_PURPOSES if role == "lend" else _PURPOSES_REPLACED)[purpose].format(face=face)


def statement_text(terms: Terms) -> str:
    """The whole page as plain text, in lines of at most 100 characters, ending in a line break."""
    parts = [_paragraph(_title(terms).upper()), *map(_paragraph, _opening(terms))]
    for section in _sections(terms):
        lines = [_filled(p, "  - ", "    ") if p.startswith("- ") else _filled(p) for p in section.paragraphs]
        parts.append(f"{section.title.upper()}\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def statement_page(terms: Terms) -> str:
    """The same words as a web page to read or print: it loads nothing and runs nothing."""
    body = [f"<h1>{html.escape(_title(terms))}</h1>", *(f"<p>{html.escape(p)}</p>" for p in _opening(terms))]
    for section in _sections(terms):
        body += ["<section>", f"<h2>{html.escape(section.title)}</h2>"]
        for is_list, group in groupby(section.paragraphs, lambda p: p.startswith("- ")):
            if is_list:
                body += ["<ul>", *(f"<li>{html.escape(point[2:])}</li>" for point in group), "</ul>"]
            else:
                body += [f"<p>{html.escape(paragraph)}</p>" for paragraph in group]
        body.append("</section>")
    return _PAGE.format(language=LANGUAGE, title=html.escape(_title(terms)), body="\n".join(body))


def _title(terms: Terms) -> str:
    do = "show" if terms.role == "lend" else "replace"
    if terms.kind == "person":
        return f"A request to {terms.lender}: may we {do} your face?"
    whom = "the estate of" if terms.kind == "estate" else "the makers of the synthetic person"
    return f"A request to {whom} {terms.lender}: may we {do} this face?"


def _face(terms: Terms) -> str:
    return "your face" if terms.kind == "person" else "this face"


def _opening(terms: Terms) -> list[str]:
    first = (
        "Please take your time and read this before you sign. Ask about anything that is not clear. You may say no, "
        "and "
        "you need not say why. You may say yes now and take it back later. Nobody may treat you worse for either."
    )
    if terms.kind == "synthetic":
        return [
            first,
            "This face belongs to a SYNTHETIC PERSON, who does not exist. Whoever made the person signs in their "
            "place, and the record says so. If this is your own face, do not sign.",
        ]
    if terms.authority is not None:
        return [
            first,
            f"This face belongs to {terms.lender}, who has died. You are asked because you speak for the estate, by "
            f"{AUTHORITY_KINDS[terms.authority.kind]}: {terms.authority.description} (fingerprint of that document: "
            f"{terms.authority.document_sha256}). If you do not speak for the estate, do not sign.",
        ]
    return [first]


def _sections(terms: Terms) -> list[_Section]:
    return [
        _Section("What we ask", _what(terms)),
        _Section("For whom", _for_whom(terms)),
        _Section("How long", _term(terms)),
        _Section("What we will never do", _never(terms)),
        _Section("How everybody can tell", _marks(terms)),
        _Section("How to take it back", _revocation(terms)),
        _Section("What cannot be taken back", _lasting()),
        _Section("What is kept, and how it is destroyed", _kept(terms)),
        _Section("Your rights over your data", _rights(terms)),
        _Section("The witness", _witness(terms)),
        _Section("What you sign", _signature(terms)),
    ]


def _what(terms: Terms) -> list[str]:
    face = _face(terms)
    use = "use" if terms.role == "lend" else "replace"
    purposes = "; and ".join(purpose_words(each, face, terms.role) for each in terms.purposes)
    lines = [f"We ask to {use} {face} {purposes}."]
    if terms.train:
        lines.append(
            f"To do this, a computer program learns from pictures what {face} looks like. The program's model of "
            f"{face} "
            "stays with this work"
            + (", and further models may be made from it." if terms.derive else ", and no other model is made from it.")
        )
    else:
        lines.append(f"No computer program may learn what {face} looks like; only what was learnt before is used.")
    if terms.role == "replaced":
        lines += [
            f"In the results another person's face is shown in place of {face}. That person signs a page of their own. "
            f"This page does not allow to show {face} in place of anybody's.",
            "Think of this before you agree: the voice, the hair, the body, the movements and the place stay as they "
            f"are{', and people who know you may recognise you by them' if terms.kind == 'person' else ''}. Where "
            "the face cannot be replaced well, it is covered.",
        ]
        return lines
    shown = f"{face[0].upper()}{face[1:]} may be shown in place of"
    if terms.performers:
        lines.append(f"{shown}: {', '.join(terms.performers)}. Of nobody else.")
    else:
        lines.append(f"{shown} any performer's in this work.")
    if terms.kind == "person":
        lines.append("Think of this before you agree: people who know you may recognise your face in it.")
    return lines


def _for_whom(terms: Terms) -> list[str]:
    return [
        f"This request comes from: {terms.requester}. The work is called “{terms.title}”.",
        f"Where it may be shown: {terms.territory}. What may be made: {', '.join(terms.media)}.",
    ]


def _term(terms: Terms) -> list[str]:
    return [
        f"From {_moment(terms.not_before)} until {_moment(terms.expires)}. After that nothing new may be made. "
        "Films that were finished before may still be shown.",
        "A new title or a new purpose needs a new record: we have to ask you again, and you decide again.",
    ]


def _never(terms: Terms) -> list[str]:
    face = _face(terms)
    face = face[0].upper() + face[1:]
    return [
        f"{face} is never used in sexual content, and never with anybody who appears to be under 18. No signature "
        "can change that, and the program refuses it.",
        f"{face} is not used beyond what this page says{'.' if terms.derive else ', nor for other models.'}",
    ]


def _marks(terms: Terms) -> list[str]:
    if terms.role == "replaced":
        return [
            "Every result carries a signed note in the file that says a face was replaced with consent. Your name is "
            "not in it. A label in the picture says so as well, unless the person whose face is shown allows to leave "
            "it out."
        ]
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
    do = "show" if terms.role == "lend" else "replace"
    return [
        "At any time, for any reason or none. Tell us, in any way, and we enter it. Or do it yourself: run "
        "“countenance consent revoke” with your key and send us the file that it makes.",
        f"From then on the program refuses to learn from {_face(terms)} or to {do} it. It costs you nothing, and "
        "nobody "
        "has to agree to it.",
        *_status(terms),
    ]


def _status(terms: Terms) -> list[str]:
    if terms.status is None:
        return []
    return [
        f"Whether it was taken back is also looked up in a list that shows no names: {terms.status.uri}, place "
        f"{terms.status.index}, signed with the key {terms.status.issuer}. Without a fresh list the program refuses."
    ]


def _lasting() -> list[str]:
    return [
        "Films that were published before. Other people have copies of them, and no program can call those back. You "
        "can "
        "ask us to take down what we still show ourselves.",
        "The proof that you agreed and took it back: this page, the signatures and a log without pictures. It protects "
        "you as well as us.",
    ]


def _kept(terms: Terms) -> list[str]:
    whose = "you" if terms.kind == "person" else "this face"
    return [
        f"While the work goes on we keep: pictures of {whose} that the program cut out of films or photographs; a "
        f"measurement made from them; the program's model of {_face(terms)}; this page and the signatures. They lie "
        "on our "
        "own computers, in the folder of this work. The program sends none of it anywhere.",
        f"When you ask, we run “countenance forget {terms.lender}” on each of those computers. It destroys the "
        "pictures, the "
        "measurement, the model and the previews, and writes a signed certificate of destruction, of which you get a "
        "copy. The films and photographs that we took are not in the program's hands: ask us for those too.",
    ]


def _rights(terms: Terms) -> list[str]:
    first = (
        "A measurement of a face is among the data that the law protects most. We may keep it only because you "
        "agree, and "
        "only for what this page says."
        if terms.kind == "person"
        else "We keep data on this face only because you agree, and only for what this page says."
    )
    return [
        first,
        f"Responsible for it: {terms.requester}. At any time you can ask what we keep, have a copy of it, have "
        "mistakes put "
        "right and have it erased. If you think that we do not keep our word, you can complain to the data protection "
        "authority of the place where you live.",
    ]


def _witness(terms: Terms) -> list[str]:
    witness = terms.witness
    return [
        "A second person signs beside you, so that nobody can sign in your name or press you into it: "
        f"{witness.words}. "
        f"Key of the witness: {witness.key_id}.",
        "By signing, the witness says:",
        *_attested(terms),
        "Without both signatures the program does nothing with this face. If any of this is not true, tell the "
        "witness not "
        "to sign.",
    ]


def _attested(terms: Terms) -> list[str]:
    if terms.kind == "synthetic":
        return [
            "- that the face was made by a computer program, and nobody of flesh and blood is known to have it;",
            "- that the person who signs made it, or may speak for who did;",
            "- that the person who signs read this page and agreed freely.",
        ]
    checked = terms.adult.checked
    role = "lender" if terms.role == "lend" else "performer"
    about = f"the {role}" if terms.kind == "person" else terms.lender
    age = (
        f"- that {about} appears to be well over 18, in person and not only in pictures;"
        if checked is None
        else f"- that on {_day(checked.year, checked.month, checked.day)} the witness saw "
        f"{DOCUMENT_KINDS[terms.adult.document]} "
        f"that shows {about} to be at least 18 (its number and the date of birth are written down nowhere);"
    )
    if terms.kind == "estate":
        age = age.replace(" in person and not only in pictures", " in the films and photographs that are used")
        met = [
            "- that the witness saw the document named above, and that it lets the person who signs speak for the "
            "estate;",
            f"- that the face in the pictures is {terms.lender}'s;",
        ]
    else:
        met = [f"- that the witness met the {role}, and that the face in the pictures is the {role}'s own;"]
        if terms.face.capture is not None:
            met.append(
                f"- that in the film of the challenge the {role} said the digits that stand on the card, which the "
                "program cannot hear;"
            )
    return [
        *met,
        age,
        "- that the person who signs read this page, or had it read out, in a language they know well, and could ask;",
        "- that the person who signs agreed freely, and was not pressed, as far as the witness knows.",
    ]


def _signature(terms: Terms) -> list[str]:
    pictures = "pictures of you" if terms.kind == "person" else "pictures of it"
    own = "you are at least 18 years old" if terms.kind == "person" else "you may decide about this face"
    return [
        f"Your signature covers these words and a measurement of {_face(terms)}, made from {pictures}, which the "
        "program uses to make sure that it works with this face and no other. The measurement itself is not in "
        "what you sign, only its fingerprint.",
        f"You sign with a key that only you have. By signing you say that {own} and that you agree freely.",
        f"Number of this request: {terms.id}",
    ]


def _moment(moment: datetime) -> str:
    return f"{_day(moment.year, moment.month, moment.day)}, {moment:%H:%M} UTC"


def _day(year: int, month: int, day: int) -> str:
    return f"{day:02} {_MONTHS[month - 1]} {year}"  # %B would follow the computer's language


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def _paragraph(text: str) -> str:
    return _filled(text, "", "") + "\n"


def _filled(text: str, first: str = "  ", rest: str = "  ") -> str:
    return fill(
        text.removeprefix("- "),
        width=100,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


_PAGE = """<!doctype html>
<html lang="{language}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ color: #111; background: #fff; font: 1.15rem/1.6 system-ui, sans-serif; margin: 0 auto; max-width: 38rem;
  padding: 1.5rem; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.9rem; line-height: 1.25; }}
h2 {{ font-size: 1.25rem; margin: 2rem 0 0.5rem; }}
p, ul {{ margin: 0 0 0.8rem; }}
@media print {{ body {{ font-size: 11pt; max-width: none; padding: 0; }} section {{ break-inside: avoid; }} }}
</style>
<main>
{body}
</main>
</html>
"""
