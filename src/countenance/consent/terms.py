"""What a lender is asked and agrees to: the part that a request and a record have in common."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from countenance.config import PURPOSES, clean_line
from countenance.consent.clock import format_time, parse_time
from countenance.errors import InputError
from countenance.project import check_person_name

__all__ = [
    "MAXIMUM_TERM",
    "MEDIA",
    "MINIMUM_AGE",
    "PERFORMER_LIMIT",
    "STATUS_SIZE",
    "VERSION",
    "FaceClaim",
    "MalformedError",
    "StatusPointer",
    "Table",
    "Terms",
]

VERSION = 1
"""Version of requests and records."""

MINIMUM_AGE = 18.0
"""Apparent age in years below which nobody can lend a face (the screen's own rule, enforced here once more)."""

MEDIA = ("video",)
"""What may be made. A closed list."""

MAXIMUM_TERM = timedelta(days=3653)
"""Longest term: ten years. Nobody can promise for longer what a face may be used for."""

PERFORMER_LIMIT = 64
"""Most performers that one record can name."""

STATUS_SIZE = 2**20
"""Places of a status list: a fixed number, so that its size tells nothing."""

_ID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)


class MalformedError(ValueError):
    """A document's member is missing, unknown or of another type; the message is a half-sentence."""


class Table:
    """A JSON object that must have exactly certain members; each is read with its type.

    Raises:
        MalformedError: members are missing or unknown, or one is of another type.
    """

    def __init__(self, value: object, what: str, members: Sequence[str]) -> None:
        if not isinstance(value, dict):
            raise MalformedError(f"{what} is not a JSON object")
        for key in value:
            if key not in members:
                raise MalformedError(f"{what} has the unknown member {key[:40]!r}")
        for key in members:
            if key not in value:
                raise MalformedError(f"{what} has no {key}")
        self._value, self._what = value, what

    def raw(self, key: str) -> Any:
        """The member as it is."""
        return self._value[key]

    def text(self, key: str) -> str:
        """A text."""
        if not isinstance(self._value[key], str):
            raise MalformedError(f"{key} of {self._what} is not a text")
        return str(self._value[key])

    def members(self) -> dict[str, Any]:
        """All members."""
        return dict(self._value)

    def sha256(self, key: str) -> str:
        """A SHA-256 in 64 lower-case hex digits."""
        if not _SHA256.fullmatch(self.text(key)):
            raise MalformedError(f"{key} of {self._what} is not a SHA-256")
        return self.text(key)

    def line(self, key: str) -> str:
        """A text of one line that is shown as it is stored."""
        text = self.text(key)
        try:
            same = clean_line(text, key) == text
        except InputError as error:
            raise MalformedError(str(error)) from error
        if not same:
            raise MalformedError(f"{key} of {self._what} has unusual spaces or letters")
        return text

    def flag(self, key: str) -> bool:
        """True or false; not a number that looks like it."""
        if not isinstance(self._value[key], bool):
            raise MalformedError(f"{key} of {self._what} is neither true nor false")
        return bool(self._value[key])

    def number(self, key: str) -> float:
        """A finite number."""
        value = self._value[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise MalformedError(f"{key} of {self._what} is not a number")
        return float(value)

    def time(self, key: str) -> datetime:
        """A moment in this millennium, so that adding to it or taking from it cannot fail."""
        moment = parse_time(self.text(key))
        if not 2000 <= moment.year < 3000:
            raise MalformedError(f"{key} of {self._what} is not in this millennium")
        return moment

    def names(self, key: str, limit: int) -> tuple[str, ...]:
        """A list of different texts."""
        value = self._value[key]
        if not isinstance(value, list) or len(value) > limit or not all(isinstance(item, str) for item in value):
            raise MalformedError(f"{key} of {self._what} is not a list of at most {limit} texts")
        if len(set(value)) != len(value):
            raise MalformedError(f"{key} of {self._what} names something twice")
        return tuple(value)


def _person(name: str) -> str:
    try:
        same = check_person_name(name) == name
    except InputError as error:
        raise ValueError(str(error)) from error
    if not same:
        raise ValueError(f"the name {name!r} is not in its one spelling")
    return name


@dataclass(frozen=True, slots=True)
class StatusPointer:
    """Where it can be looked up whether a record was revoked.

    ``uri`` names the list (https, or ``urn:`` for one that is handed over as a file), ``index`` the record's place in
    it, ``issuer`` the thumbprint of the key that must have signed it.

    Raises:
        ValueError: a member is out of range.
    """

    uri: str
    index: int
    issuer: str

    def __post_init__(self) -> None:
        if not _URI.fullmatch(self.uri):
            raise ValueError("the status list is named by neither an https address nor a urn")
        if not 0 <= self.index < STATUS_SIZE or not _KEY_ID.fullmatch(self.issuer):
            raise ValueError("the status list's place or its issuer's key id is not one")

    def to_json(self) -> dict[str, Any]:
        """The member ``status`` of a request or record."""
        return {"status_list": {"uri": self.uri, "idx": self.index, "issuer": self.issuer}}

    @classmethod
    def from_json(cls, value: object) -> StatusPointer:
        """Read what :meth:`to_json` wrote (raises ValueError)."""
        inner = Table(
            Table(value, "status", ("status_list",)).raw("status_list"), "status_list", ("uri", "idx", "issuer")
        )
        if type(inner.raw("idx")) is not int:
            raise MalformedError("idx of status_list is not a whole number")
        return cls(inner.line("uri"), inner.raw("idx"), inner.text("issuer"))


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose face, for whom, for what, and how long.

    ``id`` is a random ``urn:uuid:``; ``lender`` a person's name in the project; ``synthetic`` says that nobody of
    flesh and blood has this face; ``requester`` who asks; ``purposes`` from
    :data:`countenance.config.PURPOSES`; ``performers`` in whose place the face may be shown, empty for anybody in
    this title; ``train`` allows to train a model; ``derive`` to use that model for further ones. ``not_before`` and
    ``expires`` are aware, the latter the first moment that is not covered any more. ``status`` says where a revocation
    shows, if there is such a place.

    Raises:
        ValueError: the terms contradict themselves or break the product's rules.
    """

    id: str
    lender: str
    synthetic: bool
    requester: str
    purposes: tuple[str, ...]
    title: str
    media: tuple[str, ...]
    territory: str
    performers: tuple[str, ...]
    train: bool
    derive: bool
    label_required: bool
    not_before: datetime
    expires: datetime
    status: StatusPointer | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError("the id is not a random UUID")
        for name in (self.lender, *self.performers):
            _person(name)
        for what, values, known in (("purpose", self.purposes, PURPOSES), ("medium", self.media, MEDIA)):
            if not values or any(value not in known for value in values):
                raise ValueError(f"it needs a {what} out of: {', '.join(known)}")
        if len(self.performers) > PERFORMER_LIMIT:
            raise ValueError(f"it can name at most {PERFORMER_LIMIT} performers")
        if not timedelta(0) < self.expires - self.not_before <= MAXIMUM_TERM:
            raise ValueError("it must end after it begins, and at most ten years later")

    def to_json(self) -> dict[str, Any]:
        """The members that these terms have in a request and in a record."""
        return {
            "version": VERSION,
            "id": self.id,
            "subject": {"name": self.lender, "kind": "synthetic" if self.synthetic else "person"},
            "requester": self.requester,
            "not_before": format_time(self.not_before),
            "expires": format_time(self.expires),
            "scope": {
                "purposes": list(self.purposes),
                "title": self.title,
                "media": list(self.media),
                "territory": self.territory,
                "performers": list(self.performers),
                "train": self.train,
                "derive": self.derive,
                "sexual": False,
                "minors": "none",
            },
            "label_required": self.label_required,
            **({} if self.status is None else {"status": self.status.to_json()}),
        }

    MEMBERS = ("version", "id", "subject", "requester", "not_before", "expires", "scope", "label_required")

    @classmethod
    def members_of(cls, value: object) -> tuple[str, ...]:
        """The members that a document must have: ``status``, which older ones lack, only where it is there."""
        return (*cls.MEMBERS, "status") if isinstance(value, dict) and "status" in value else cls.MEMBERS

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Terms:
        """Read the members that :meth:`to_json` wrote; others are the caller's business.

        Raises:
            ValueError: a member is missing, unknown or wrong, or breaks a rule.
        """
        whole = Table({key: value[key] for key in cls.MEMBERS if key in value}, "the document", cls.MEMBERS)
        if whole.raw("version") != VERSION or isinstance(whole.raw("version"), bool):
            raise ValueError(f"its version is {str(whole.raw('version'))[:20]}, and this program knows {VERSION}")
        subject = Table(whole.raw("subject"), "subject", ("name", "kind"))
        if subject.text("kind") not in ("person", "synthetic"):
            raise ValueError("the subject is neither a person nor a synthetic one")
        scope = Table(whole.raw("scope"), "scope", tuple(_SCOPE))
        if scope.raw("sexual") is not False:
            raise ValueError("it allows sexual content, which no record can")
        if scope.raw("minors") != "none":
            raise ValueError("it allows minors, which no record can")
        return cls(
            id=whole.text("id"),
            lender=subject.text("name"),
            synthetic=subject.text("kind") == "synthetic",
            requester=whole.line("requester"),
            purposes=scope.names("purposes", len(PURPOSES)),
            title=scope.line("title"),
            media=scope.names("media", len(MEDIA)),
            territory=scope.line("territory"),
            performers=scope.names("performers", PERFORMER_LIMIT),
            train=scope.flag("train"),
            derive=scope.flag("derive"),
            label_required=whole.flag("label_required"),
            not_before=whole.time("not_before"),
            expires=whole.time("expires"),
            status=StatusPointer.from_json(value["status"]) if "status" in value else None,
        )


@dataclass(frozen=True, slots=True)
class FaceClaim:
    """Which face the terms are about.

    ``embedder_id`` names the network, ``template_sha256`` the enrolled template, ``threshold`` is the cosine that each
    face must reach, ``adult_years`` the median apparent age at enrolment.

    Raises:
        ValueError: a member is out of range, or the person appears under age.
    """

    embedder_id: str
    template_sha256: str
    threshold: float
    adult_years: float

    def __post_init__(self) -> None:
        if not _EMBEDDER.fullmatch(self.embedder_id) or not _SHA256.fullmatch(self.template_sha256):
            raise ValueError("the face is not named by a network and a SHA-256")
        if not 0.0 < self.threshold < 1.0:
            raise ValueError("the face's threshold is not between 0 and 1")
        if not MINIMUM_AGE <= self.adult_years <= 150.0:
            raise ValueError("the person appears to be under age, and nobody can consent to lend a minor's face")

    def to_json(self) -> dict[str, Any]:
        """The members ``face`` and ``adult`` of a request or record."""
        return {
            "face": {
                "embedder": self.embedder_id,
                "template_sha256": self.template_sha256,
                "threshold": self.threshold,
            },
            "adult": {"method": _AGE_METHOD, "years": self.adult_years},
        }

    @classmethod
    def from_json(cls, face: object, adult: object) -> FaceClaim:
        """Read what :meth:`to_json` wrote (raises ValueError)."""
        table = Table(face, "face", ("embedder", "template_sha256", "threshold"))
        years = Table(adult, "adult", ("method", "years"))
        if years.text("method") != _AGE_METHOD:
            raise ValueError("the method by which the person was found to be adult is unknown")
        return cls(
            table.text("embedder"), table.text("template_sha256"), table.number("threshold"), years.number("years")
        )


_AGE_METHOD = "apparent-age-median"
_EMBEDDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_URI = re.compile(r"(?:https://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[\w.~%!$&'()*+,;=:@/?-]*)?|urn:[\w.~:-]+)", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)

_SCOPE = ("purposes", "title", "media", "territory", "performers", "train", "derive", "sexual", "minors")
