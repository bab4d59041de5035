"""The page that the lender and the witness read before signing, in plain words and in a language that they know.

The text follows from the terms and the language alone, so that the hash in the record proves which words were shown,
and a request whose words were exchanged is refused at signing. The words of each language lie in a file of their own,
``data/statements/en.toml`` and so on; which of them belong to which terms, and in which order, is decided here. As a
web page it has the same words (:func:`statement_page`).
"""

from __future__ import annotations

import html
import re
import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import groupby
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import date, datetime

    from countenance.consent.terms import Role, Terms

__all__ = [
    "LANGUAGES",
    "LANGUAGE_TAG",
    "default_requester",
    "default_territory",
    "purpose_words",
    "question",
    "statement_page",
    "statement_text",
]

LANGUAGES = ("en", "de", "fr", "es")
"""Languages in which there is a page (BCP 47)."""

LANGUAGE_TAG = re.compile(
    r"(?:[A-Za-z]{2,3}(?:-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})"  # language, with at most three extended subtags
    r"(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?"  # script, region
    r"(?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*"  # variants
    r"(?:-[0-9A-WY-Za-wy-z](?:-[A-Za-z0-9]{2,8})+)*(?:-[xX](?:-[A-Za-z0-9]{1,8})+)?"  # extensions, private use
)
"""A well-formed tag that begins with a language subtag (RFC 5646, 2.1): no private tag alone, no grandfathered one."""


@dataclass(frozen=True, slots=True)
class _Section:
    """A title and its paragraphs; one that begins with a dash is a point of a list."""

    title: str
    paragraphs: list[str]


def purpose_words(purpose: str, face: str, role: Role = "lend") -> str:
    """What a purpose means, as a person would say it in English; ``face`` is for example ``"your face"``."""
    return str(_words_in("en")["purposes"][role][purpose]).format(face=face)


def question(who: Literal["lender", "witness"], language: str) -> str:
    """What the lender or the witness is asked after the page was read, to be answered by yes or no."""
    return str(_words_in(language)["questions"][who])


def default_requester(title: str, language: str) -> str:
    """Who asks for the work of this title, where nobody is named."""
    return str(_words_in(language)["requester"]).format(title=title)


def default_territory(language: str) -> str:
    """Where the work may be shown, unless that is limited."""
    return str(_words_in(language)["territory"])


def statement_text(terms: Terms, language: str) -> str:
    """The whole page as plain text, in lines of at most 100 characters, ending in a line break.

    Args:
        terms: what is asked.
        language: one of :data:`LANGUAGES`.
    """
    page = _Page(terms, language)
    parts = [_paragraph(page.say("title").upper()), *map(_paragraph, page.opening())]
    for section in page.sections():
        lines = [_filled(p, "  - ", "    ") if p.startswith("- ") else _filled(p) for p in section.paragraphs]
        parts.append(f"{section.title.upper()}\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def statement_page(terms: Terms, language: str) -> str:
    """The same words as a web page to read or print: it loads nothing and runs nothing."""
    page = _Page(terms, language)
    title = html.escape(page.say("title"))
    body = [f"<h1>{title}</h1>", *(f"<p>{html.escape(p)}</p>" for p in page.opening())]
    for section in page.sections():
        body += ["<section>", f"<h2>{html.escape(section.title)}</h2>"]
        for is_list, group in groupby(section.paragraphs, lambda p: p.startswith("- ")):
            if is_list:
                body += ["<ul>", *(f"<li>{html.escape(point[2:])}</li>" for point in group), "</ul>"]
            else:
                body += [f"<p>{html.escape(paragraph)}</p>" for paragraph in group]
        body.append("</section>")
    return _PAGE.format(language=language, title=title, body="\n".join(body))


@lru_cache(maxsize=len(LANGUAGES))
def _words_in(language: str) -> dict[str, Any]:
    if language not in LANGUAGES:  # it becomes a file's name
        raise ValueError(f"there is no statement in {language!r}")
    path = files("countenance") / "data" / "statements" / f"{language}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


class _Page:
    """Chooses the clauses of some terms."""

    def __init__(self, terms: Terms, language: str) -> None:
        self._terms, self._words = terms, _words_in(language)
        self._values = self._all_values()

    def say(self, clause: str) -> str:
        """A clause by its dotted name, in the variant that is meant for these terms, with their values in it."""
        found: Any = self._words["clauses"]
        for part in clause.split("."):
            found = found[part]
        while not isinstance(found, str):
            kind = self._terms.kind
            found = found[kind if kind in found else "other" if "other" in found else self._terms.role]
        return found.format_map(self._values)

    def opening(self) -> list[str]:
        """What stands before the first section."""
        special = {"synthetic": ["opening.synthetic"], "estate": ["opening.estate"]}.get(self._terms.kind, [])
        return [self.say(clause) for clause in ("opening.read", *special)]

    def sections(self) -> list[_Section]:
        """Everything else, in order."""
        terms = self._terms
        trained = "train_derive" if terms.derive else "train_only"
        if terms.role == "replaced":
            shown = ["what.another", "what.think"]
            marks = self.say("marks.replaced")
        else:
            shown = ["what.performers" if terms.performers else "what.anybody"]
            shown += ["what.recognised"] if terms.kind == "person" else []
            marks = f"{self.say('marks.note')} {self.say('marks.label' if terms.label_required else 'marks.no_label')}"
        clauses = {
            "what": ["what.ask", f"what.{trained}" if terms.train else "what.no_train", *shown],
            "whom": ["whom.who", "whom.where"],
            "term": ["term.time", "term.anew"],
            "never": ["never.sexual", "never.beyond_derive" if terms.derive else "never.beyond"],
            "marks": [],
            "revocation": ["revocation.how", "revocation.then", *(["revocation.status"] if terms.status else [])],
            "lasting": ["lasting.films", "lasting.proof"],
            "kept": ["kept.what", "kept.forget"],
            "rights": ["rights.data", "rights.who"],
            "witness": ["witness.who", "witness.says", *self._attested(), "witness.both"],
            "signature": ["signature.covers", "signature.key", "signature.language", "signature.number"],
        }
        return [
            _Section(self._words["titles"][name], [marks] if name == "marks" else [self._paragraph(c) for c in chosen])
            for name, chosen in clauses.items()
        ]

    def _paragraph(self, clause: str) -> str:
        return f"- {self.say(clause)}" if clause.startswith("attested.") else self.say(clause)

    def _attested(self) -> list[str]:
        """What the witness says."""
        terms = self._terms
        if terms.kind == "synthetic":
            return ["attested.made", "attested.speaks", "attested.synthetic_free"]
        if terms.kind == "estate":
            met = ["attested.authority", "attested.face_of"]
        else:
            met = ["attested.met", *(["attested.digits"] if terms.face.capture is not None else [])]
        age = "attested.appears" if terms.adult.checked is None else "attested.document"
        return [*met, age, "attested.read", "attested.free"]

    def _all_values(self) -> dict[str, str]:
        """What can stand in a clause, by its name there."""
        terms, words = self._terms, self._words
        face = str(words["face"]["person" if terms.kind == "person" else "other"])
        role = str(words["roles"][terms.witness.role])
        name, authority, status, adult = terms.witness.name, terms.authority, terms.status, terms.adult
        purposes = [str(words["purposes"][terms.role][purpose]).format(face=face) for purpose in terms.purposes]
        return {
            "face": face,
            "Face": face[0].upper() + face[1:],
            "lender": terms.lender,
            "requester": terms.requester,
            "title": terms.title,
            "territory": terms.territory,
            "media": words["join_names"].join(words["media"][medium] for medium in terms.media),
            "performers": words["join_names"].join(terms.performers),
            "purposes": words["join_purposes"].join(purposes),
            "not_before": self._moment(terms.not_before),
            "expires": self._moment(terms.expires),
            "witness": words["named_witness"].format(name=name, role=role) if name else role,
            "witness_key": terms.witness.key_id,
            "id": terms.id,
            **({} if adult.checked is None else {"checked": self._day(adult.checked)}),
            **({} if adult.checked is None else {"document": words["documents"][adult.document]}),
            **({} if authority is None else {"authority": words["authorities"][authority.kind]}),
            **({} if authority is None else {"description": authority.description}),
            **({} if authority is None else {"document_sha256": authority.document_sha256}),
            **({} if status is None else {"status_uri": status.uri, "status_key": status.issuer}),
            **({} if status is None else {"status_place": str(status.index)}),
        }

    def _moment(self, moment: datetime) -> str:
        return str(self._words["moment"].format(date=self._day(moment), time=f"{moment:%H:%M}"))

    def _day(self, day: date) -> str:
        # %B would follow the computer's language.
        form = self._words["date_first" if day.day == 1 else "date"]  # French counts the first of a month apart
        return str(form.format(day=day.day, month=self._words["months"][day.month - 1], year=day.year))


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
