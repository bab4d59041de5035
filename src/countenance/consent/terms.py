"""What a lender is asked and agrees to: the part that a request and a record have in common."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from countenance.config import PURPOSES
from countenance.consent.clock import format_time
from countenance.consent.evidence import DOCUMENT_AGE, MINIMUM_AGE, AdultCheck, FaceClaim
from countenance.consent.parties import Authority, Witness
from countenance.consent.table import MalformedError, Table, with_optional
from countenance.errors import InputError
from countenance.project import check_person_name

__all__ = [
    "MAXIMUM_TERM",
    "MEDIA",
    "MINIMUM_AGE",
    "PERFORMER_LIMIT",
    "STATUS_SIZE",
    "SUBJECT_KINDS",
    "VERSION",
    "FaceClaim",
    "MalformedError",
    "Role",
    "StatusPointer",
    "Table",
    "Terms",
    "require_version",
]

VERSION = 2
"""Version of requests and records. Version 1 had the lender's signature alone, and is refused."""

SUBJECT_KINDS = ("person", "synthetic", "estate")
"""Whose face it is: a living person's, nobody's, or a dead person's for whom an estate speaks. A closed list."""

Role = Literal["lend", "replaced"]
"""What is done with the face: it is shown in place of another, or another is shown in its place."""

MEDIA = ("video",)
"""What may be made. A closed list."""

MAXIMUM_TERM = timedelta(days=3653)
"""Longest term: ten years. Nobody can promise for longer what a face may be used for."""

PERFORMER_LIMIT = 64
"""Most performers that one record can name."""

STATUS_SIZE = 2**20
"""Places of a status list: a fixed number, so that its size tells nothing."""

_ID = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)


def require_version(value: Mapping[str, Any]) -> None:
    """Refuse a document of another version before anything else of it is understood (raises MalformedError)."""
    version = value.get("version")
    if version != VERSION or type(version) is not int:
        raise MalformedError(f"its version is {str(version)[:20]}, and this program knows version {VERSION} only")


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

    ``id`` is a random ``urn:uuid:``; ``lender`` a person's name in the project; ``kind`` one of :data:`SUBJECT_KINDS`,
    for an estate with the ``authority`` by which somebody signs for it; ``witness`` who must sign as well; ``face``
    which face, ``adult`` how the person is known to be adult; ``requester`` who asks; ``purposes`` from
    :data:`countenance.config.PURPOSES`; ``performers`` in whose place the face may be shown, empty for anybody in
    this title; ``role`` what is done with the face; ``train`` allows to train a model; ``derive`` to use that model
    for further ones. ``not_before`` and ``expires`` are aware, the latter the first moment that is not covered any
    more. ``status`` says where a revocation shows, if there is such a place.

    Raises:
        ValueError: the terms contradict themselves or break the product's rules.
    """

    id: str
    lender: str
    kind: str
    witness: Witness
    face: FaceClaim
    adult: AdultCheck
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
    authority: Authority | None = field(default=None, kw_only=True)
    status: StatusPointer | None = field(default=None, kw_only=True)
    role: Role = field(default="lend", kw_only=True)

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
        if self.role == "replaced" and (self.performers or self.derive or not self.label_required):
            raise ValueError(
                "who allows to have a face replaced allows nothing else: no performers, no further models, no render "
                "without the label"
            )
        if not timedelta(0) < self.expires - self.not_before <= MAXIMUM_TERM:
            raise ValueError("it must end after it begins, and at most ten years later")
        if self.kind not in SUBJECT_KINDS or (self.kind == "estate") != (self.authority is not None):
            raise ValueError("an estate, and nobody else, needs the authority by which somebody signs for it")
        if (self.kind == "synthetic") != (self.adult.method == "synthetic"):
            raise ValueError("the age of a synthetic person, and of nobody else, needs no proof")
        if self.adult.method == "apparent-age-median" and self.face.apparent_age < DOCUMENT_AGE:
            raise ValueError(
                f"the person appears to be {self.face.apparent_age:.1f} years old, and below {DOCUMENT_AGE:.0f} the "
                "witness must have seen an identity document"
            )

    @property
    def synthetic(self) -> bool:
        """Whether nobody of flesh and blood has this face."""
        return self.kind == "synthetic"

    @property
    def adult_id_checked(self) -> bool:
        """Whether the witness says that the age is certain: a document was seen, or there is no such person."""
        return self.adult.method in ("id-document", "synthetic")

    def to_json(self) -> dict[str, Any]:
        """The members that these terms have in a request and in a record."""
        return {
            "version": VERSION,
            "id": self.id,
            "subject": {
                "name": self.lender,
                "kind": self.kind,
                **({} if self.authority is None else {"authority": self.authority.to_json()}),
            },
            "witness": self.witness.to_json(),
            **self.face.to_json(),
            "adult": self.adult.to_json(),
            "requester": self.requester,
            "not_before": format_time(self.not_before),
            "expires": format_time(self.expires),
            "scope": {
                "purposes": list(self.purposes),
                "title": self.title,
                "media": list(self.media),
                "territory": self.territory,
                **({} if self.role == "lend" else {"role": self.role}),
                "performers": list(self.performers),
                "train": self.train,
                "derive": self.derive,
                "sexual": False,
                "minors": "none",
            },
            "label_required": self.label_required,
            **({} if self.status is None else {"status": self.status.to_json()}),
        }

    MEMBERS = (
        *("version", "id", "subject", "witness", "face", "capture", "adult", "requester"),
        *("not_before", "expires", "scope", "label_required"),
    )

    @classmethod
    def members_of(cls, value: object) -> tuple[str, ...]:
        """The members that a document must have; ``status`` only where it is there."""
        return with_optional(value, cls.MEMBERS, ("status",))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Terms:
        """Read the members that :meth:`to_json` wrote; others are the caller's business.

        Raises:
            ValueError: a member is missing, unknown or wrong, or breaks a rule.
        """
        require_version(value)
        whole = Table({key: value[key] for key in cls.MEMBERS if key in value}, "the document", cls.MEMBERS)
        given = whole.raw("subject")
        subject = Table(given, "subject", with_optional(given, ("name", "kind"), ("authority",)))
        asked = whole.raw("scope")
        scope = Table(asked, "scope", with_optional(asked, _SCOPE, ("role",)))
        if "role" in asked and asked["role"] != "replaced":  # lending is said by leaving it out: one way to say it
            raise ValueError("its role is not one that this program knows")
        if scope.raw("sexual") is not False:
            raise ValueError("it allows sexual content, which no record can")
        if scope.raw("minors") != "none":
            raise ValueError("it allows minors, which no record can")
        return cls(
            id=whole.text("id"),
            lender=subject.text("name"),
            kind=subject.one_of("kind", SUBJECT_KINDS),
            authority=Authority.from_json(given["authority"]) if "authority" in given else None,
            witness=Witness.from_json(whole.raw("witness")),
            face=FaceClaim.from_json(whole.raw("face"), whole.raw("capture")),
            adult=AdultCheck.from_json(whole.raw("adult")),
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
            role="replaced" if "role" in asked else "lend",
            status=StatusPointer.from_json(value["status"]) if "status" in value else None,
        )


_KEY_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_URI = re.compile(r"(?:https://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[\w.~%!$&'()*+,;=:@/?-]*)?|urn:[\w.~:-]+)", re.ASCII)

_SCOPE = ("purposes", "title", "media", "territory", "performers", "train", "derive", "sexual", "minors")
