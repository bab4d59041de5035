"""Makes small wheels, so that fetching is tested with the real pip but without any network."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

from countenance.perception.cards import WeightCard, Wheel

if TYPE_CHECKING:
    from pathlib import Path


def make_wheel(folder: Path, package: str, members: dict[str, bytes]) -> Wheel:
    """A wheel of ``package`` 1.0 in ``folder`` (an index for pip's find-links)."""
    path = folder / f"{package}-1.0-py3-none-any.whl"
    info = f"{package}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    data = path.read_bytes()
    return Wheel(package, "1.0", hashlib.sha256(data).hexdigest(), len(data))


def make_card(name: str, wheel: Wheel, member: tuple[str, ...], data: bytes) -> WeightCard:
    """A card for ``data`` inside ``wheel``."""
    return WeightCard(
        name=name,
        purpose="test",
        wheel=wheel,
        member=member,
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        licence="CC0-1.0",
        source="tests",
        input_convention="",
        output_convention="",
    )


def zip_of(members: dict[str, bytes]) -> bytes:
    """A zip archive in memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()
