"""A recording's fingerprint: a hash of every frame and of every second of sound, whatever the container.

It answers what a hash of the file cannot: which part of a changed copy is still the signed one. The list is signed as a
whole, so nothing has to be proven by a tree of hashes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from countenance.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from countenance.media.exact import Part
    from countenance.progress import Progress

__all__ = ["Comparison", "Track", "compare", "measure", "read_tracks", "write_tracks"]

_HASH_BYTES = 16  # of SHA-256: nobody finds another frame for one of 2^128 values
_MOST_HASHES = 1 << 17  # signed at most: 87 minutes of 25 frames a second; longer tracks have several frames to a hash
_MOST_TRACKS = 17
_RATE = re.compile(r"[0-9]{1,9}/[0-9]{1,9}")

Kind = Literal["picture", "sound"]


@dataclass(frozen=True, slots=True)
class Track:
    """The parts of one track.

    ``parts`` is how many there are (frames, or about seconds of sound); ``together`` how many share a hash; ``hashes``
    16 bytes for each such group, in order; ``rate`` parts a second, on average.
    """

    kind: Kind
    parts: int
    together: int
    hashes: bytes
    rate: Fraction

    @property
    def groups(self) -> list[bytes]:
        """The hashes, one by one."""
        return [self.hashes[at : at + _HASH_BYTES] for at in range(0, len(self.hashes), _HASH_BYTES)]

    def joined(self, together: int) -> Track:
        """The same track with so many parts to a hash; it must have one each."""
        if together == 1:
            return self
        step = together * _HASH_BYTES
        hashes = [_short(self.hashes[at : at + step]) for at in range(0, len(self.hashes), step)]
        return Track(self.kind, self.parts, together, b"".join(hashes), self.rate)

    def bounded(self) -> Track:
        """The same track with as few parts to a hash as may be signed."""
        together = 1
        while -(-self.parts // together) > _MOST_HASHES:
            together *= 2
        return self.joined(together)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One track beside the signed one.

    ``signed`` and ``found`` count parts; ``same`` how many of the signed are here unchanged and in their order;
    ``changed`` are ranges of the signed parts, both ends inside, that are not; ``piece_at`` is set where what was found
    is one whole piece of the signed track: the part at which it begins.
    """

    kind: Kind
    signed: int
    found: int
    same: int
    changed: tuple[tuple[int, int], ...]
    piece_at: int | None
    rate: Fraction

    @property
    def unchanged(self) -> bool:
        """Whether it is all there, and nothing else."""
        return self.same == self.signed == self.found


def measure(path: Path, progress: Progress | None = None, *, damaged: bool = False) -> tuple[Track, ...]:
    """Decode a recording and take its fingerprint, one hash a part: the picture first, then each sound track.

    Args:
        path: a video, a photo, or a file of sound.
        progress: told the number of frames.
        damaged: of a track that cannot be decoded from end to end, take the parts before the damage.

    Raises:
        MediaError: it cannot be decoded (from end to end, or at all), or is none of these.
    """
    from countenance.media.exact import photo_part, picture_parts, sound_parts
    from countenance.media.read import is_photo

    if is_photo(path):
        return (_made("picture", [_seen(photo_part(path))]),)
    tracks = []
    problem: MediaError | None = None
    sounds: dict[int, list[tuple[bytes, Fraction]]] = {}
    if not is_sound(path):
        pictures: list[tuple[bytes, Fraction]] = []
        try:
            for part in _counted(picture_parts(path), path, progress):
                pictures.append(_seen(part))
        except MediaError as error:
            problem = error
        tracks += [_made("picture", pictures)] if pictures else []
    try:
        for number, part in sound_parts(path):
            sounds.setdefault(number, []).append(_seen(part))
    except MediaError as error:
        problem = problem or error
    tracks += [_made("sound", sounds[number]) for number in sorted(sounds)][: _MOST_TRACKS - 1]
    if problem is not None and not (damaged and tracks):
        raise problem
    return tuple(tracks)


def _counted(parts: Iterable[Part], path: Path, progress: Progress | None) -> Iterator[Part]:
    from countenance.media.probe import probe

    total = probe(path).frame_count if progress is not None else None
    for number, part in enumerate(parts, 1):
        yield part
        if progress is not None:
            progress(number, total)


def is_sound(path: Path) -> bool:
    """Whether the name is that of a file of sound alone; the file is not opened."""
    return path.suffix.lower() in (".wav", ".mp3", ".m4a", ".flac", ".aac", ".aiff", ".aif", ".oga", ".opus")


def _seen(part: Part) -> tuple[bytes, Fraction]:
    digest = hashlib.sha256(part.form.encode() + b"\0")
    for piece in part.content:
        digest.update(piece)
    return digest.digest()[:_HASH_BYTES], part.seconds


def _made(kind: Kind, seen: list[tuple[bytes, Fraction]]) -> Track:
    length = seen[-1][1] - seen[0][1] if seen else Fraction(0)
    rate = ((len(seen) - 1) / length).limit_denominator(1001) if length > 0 else Fraction(1)
    return Track(kind, len(seen), 1, b"".join(one for one, _ in seen), max(rate, Fraction(1, 1001)))


def _short(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:_HASH_BYTES]


def write_tracks(tracks: Iterable[Track]) -> list[dict[str, Any]]:
    """Tracks as JSON's types, bounded in size."""
    return [
        {
            "kind": track.kind,
            "parts": track.parts,
            "together": track.together,
            "rate": f"{track.rate.numerator}/{track.rate.denominator}",
            "hashes": base64.b64encode(track.hashes).decode("ascii"),
        }
        for track in (one.bounded() for one in tracks)
    ]


def read_tracks(value: Any) -> tuple[Track, ...]:
    """Tracks from JSON's types, which may be hostile.

    Raises:
        ValueError: not of this form.
    """
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_TRACKS:
        raise ValueError("no list of tracks")
    return tuple(_read_track(one) for one in value)


def _read_track(one: Mapping[str, Any]) -> Track:
    kind, parts, together, rate = (one[name] for name in ("kind", "parts", "together", "rate"))
    if kind not in ("picture", "sound") or type(parts) is not int or type(together) is not int:
        raise ValueError("not a track")
    if not 0 < parts < 1 << 40 or not 0 < together < 1 << 40 or not _RATE.fullmatch(str(rate)):
        raise ValueError("not a track")
    numbers = [int(number) for number in str(rate).split("/")]
    try:
        hashes = base64.b64decode(str(one["hashes"]), validate=True)
    except binascii.Error as error:
        raise ValueError("hashes that are none") from error
    wanted = -(-parts // together)
    if 0 in numbers or wanted > _MOST_HASHES or len(hashes) != wanted * _HASH_BYTES:
        raise ValueError("not as many hashes as parts")
    return Track(kind, parts, together, hashes, Fraction(*numbers))


def compare(signed: tuple[Track, ...], found: tuple[Track, ...]) -> tuple[Comparison, ...]:
    """Compare what was signed with what was measured, track by track; a track that is not there has no part the same.

    Args:
        signed: as read from the signed list.
        found: as :func:`measure` gives it.
    """
    beside: list[Comparison] = []
    for kind in ("picture", "sound"):
        ours = [track for track in signed if track.kind == kind]
        theirs = [track for track in found if track.kind == kind]
        for number, track in enumerate(ours):
            other = theirs[number].joined(track.together) if number < len(theirs) else None
            beside.append(_compared(track, other))
        for extra in theirs[len(ours) :]:
            beside.append(Comparison(extra.kind, 0, extra.parts, 0, (), None, extra.rate))
    return tuple(beside)


def _compared(signed: Track, found: Track | None) -> Comparison:
    if found is None:
        everything = ((0, signed.parts - 1),)
        return Comparison(signed.kind, signed.parts, 0, 0, everything, None, signed.rate)
    ours, theirs = signed.groups, found.groups
    piece = _piece(ours, theirs) if len(theirs) < len(ours) else None
    apart = set() if piece is None else {*range(piece), *range(piece + len(theirs), len(ours))}
    differs = _differing(ours, theirs) if piece is None else apart
    runs = [[at for _, at in run] for _, run in groupby(enumerate(sorted(differs)), key=lambda one: one[1] - one[0])]
    last = signed.parts - 1
    spans = [(run[0] * signed.together, min((run[-1] + 1) * signed.together - 1, last)) for run in runs]
    same = signed.parts - sum(end - begin + 1 for begin, end in spans)
    at = None if piece is None else piece * signed.together
    return Comparison(signed.kind, signed.parts, found.parts, same, tuple(spans), at, signed.rate)


def _piece(whole: list[bytes], part: list[bytes]) -> int | None:
    """Where one list lies in another as a whole.

    As texts with a letter a hash: searching those takes time in proportion to their length, whatever is in them.
    """
    letters: dict[bytes, str] = {}
    texts = ["".join(letters.setdefault(one, chr(0x10000 + len(letters))) for one in some) for some in (whole, part)]
    at = texts[0].find(texts[1])
    return at if part and at >= 0 else None


def _differing(ours: list[bytes], theirs: list[bytes]) -> set[int]:
    """Which of ours are not in their place, seen from the beginning, and after an insertion or a cut from the end."""
    if len(ours) == len(theirs):
        return {at for at, (one, other) in enumerate(zip(ours, theirs, strict=True)) if one != other}
    shorter = min(len(ours), len(theirs))
    head = next((at for at in range(shorter) if ours[at] != theirs[at]), shorter)
    tail = next((at for at in range(shorter - head) if ours[-1 - at] != theirs[-1 - at]), shorter - head)
    return set(range(head, len(ours) - tail))
