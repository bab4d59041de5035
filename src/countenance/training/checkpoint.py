"""Checkpoints: one safetensors file each, whose header carries the bounded JSON, complete or absent.

``checkpoint.safetensors`` is the newest, ``previous.safetensors`` the one before. A file is written beside its name,
synced and renamed; the newest becomes the previous by a hard link before it is replaced, so that at no moment is there
no complete one. ``best.safetensors`` holds, in the same format, the part that conversion needs of the weights with the
best held-out score (see :mod:`countenance.training.best`).
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from countenance.atomic import replacing
from countenance.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

__all__ = [
    "BEST",
    "CHECKPOINT",
    "PREVIOUS",
    "Checkpoint",
    "CheckpointFacts",
    "digest_of",
    "load",
    "load_weights",
    "read_facts",
    "save",
    "save_best",
    "sweep",
]

BEST = "best.safetensors"
CHECKPOINT = "checkpoint.safetensors"
PREVIOUS = "previous.safetensors"

_KEY = "countenance"
_VERSION = 1
_STALE_SECONDS = 3600.0  # no save takes so long, and another process may be saving
_MAX_HEADER = 16 * 1024 * 1024
_MAX_FACTS = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """What a checkpoint says of itself.

    Attributes:
        preset: the recipe, as ``Preset.to_json`` gives it.
        lender: name.
        performer: name.
        record_id: of the consent record under which it was trained.
        record_sha256: of that record.
        ledger_entry: hash of the permit's row in the ledger; kept here, it shows when the ledger is cut or exchanged.
        faces_sha256: lender's and performer's faces as trained on, hex.
        seed: of the run.
        iteration: finished iterations.
        samples_seen: faces shown to the network so far.
        seconds: training time so far, without preparation.
        device: where it was trained last.
        history: rows of iteration, seconds, samples, loss and scores; older files lack some of the scores.
        tensors_sha256: of all tensors' bytes, in the order of their names.
        learning_rate_factor: of the recipe's learning rate, in (0, 1]; halved each time that training broke down.
        rollbacks: what happened then: ``iteration`` where it broke, ``back_to``, ``seconds``, ``reason`` in words.
        curve_start: first row of the history that was measured on these face sets. These three are newer than the
            format, and files without them mean their defaults.
    """

    preset: dict[str, Any]
    lender: str
    performer: str
    record_id: str
    record_sha256: str
    ledger_entry: str
    faces_sha256: tuple[str, str]
    seed: int
    iteration: int
    samples_seen: int
    seconds: float
    device: str
    history: tuple[dict[str, float], ...]
    tensors_sha256: str = ""
    learning_rate_factor: float = 1.0
    rollbacks: tuple[dict[str, Any], ...] = ()
    curve_start: int = 0

    @property
    def curve(self) -> tuple[dict[str, float], ...]:
        """The rows of the history that can be compared with one another."""
        return self.history[self.curve_start :]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A loaded checkpoint: its facts and all tensors by name, on the CPU."""

    facts: CheckpointFacts
    tensors: dict[str, Tensor]


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, shapes and bytes of tensors on the CPU, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def save(folder: Path, facts: CheckpointFacts, tensors: Mapping[str, Tensor]) -> Path:
    """Write a checkpoint; keep the one before.

    Args:
        folder: the model's folder; it is made if need be.
        facts: see the class; ``tensors_sha256`` is filled in.
        tensors: any device; stored contiguous.

    Raises:
        OutputError: disk full or no permission; the checkpoints that were there are untouched.
    """
    path = folder / CHECKPOINT
    _write(path, facts, tensors, previous=folder / PREVIOUS)
    return path


def save_best(folder: Path, facts: CheckpointFacts, tensors: Mapping[str, Tensor]) -> Path:
    """Write the best weights, complete or not at all, in the place of the best before.

    Args:
        folder: the model's folder; it is made if need be.
        facts: as they were when these weights were scored.
        tensors: what conversion needs, see :func:`countenance.training.best.painted_from`.

    Raises:
        OutputError: disk full or no permission; the best file that was there is untouched.
    """
    path = folder / BEST
    _write(path, facts, tensors)
    return path


def _write(path: Path, facts: CheckpointFacts, tensors: Mapping[str, Tensor], *, previous: Path | None = None) -> None:
    from safetensors.torch import save_file

    plain = _plain(tensors)
    described = {**_facts_json(facts), "tensors_sha256": digest_of(plain), "version": _VERSION}
    text = json.dumps(described, separators=(",", ":"), allow_nan=False)
    with replacing(path) as temporary:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(plain, temporary, metadata={_KEY: text})
        if previous is not None and path.exists():
            _keep(path, previous)


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors on the CPU: channels-last is a matter of the run, not of the file.

    Copies are made only where they must: classic's 1.5 GB twice would be its largest use of memory. The file wants no
    memory that two names share, and none of which a tensor is a part.
    """
    plain: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().to("cpu").contiguous(memory_format=torch.contiguous_format)
        place = own.untyped_storage()
        if place.data_ptr() in taken or place.nbytes() != own.nbytes:
            own = own.clone()
        taken.add(own.untyped_storage().data_ptr())
        plain[name] = own
    return plain


def sweep(folder: Path) -> None:
    """Remove what saves that were killed left behind in a model's folder, once it is an hour old."""
    for path in folder.glob(".*.part.safetensors"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()


def _facts_json(facts: CheckpointFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in facts.__dataclass_fields__}


def _keep(path: Path, previous: Path) -> None:
    """Give ``path`` its second name, ``previous``, replacing the older one in one step."""
    link = previous.with_name(previous.name + ".part")
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, link)
    link.replace(previous)


def _damaged(path: Path, why: str) -> CheckpointError:
    if path.name == BEST:
        return CheckpointError(
            f"The best weights {path} cannot be used: {why}. "
            f"Delete that file, and the weights in {CHECKPOINT} beside it are used."
        )
    return CheckpointError(
        f"The checkpoint {path} cannot be used: {why}. "
        f"If {PREVIOUS} lies beside it, rename that to {CHECKPOINT}; otherwise delete the folder and train again."
    )


def read_facts(path: Path) -> CheckpointFacts:
    """Read only a checkpoint's facts, without its tensors.

    Raises:
        CheckpointError: it is missing, damaged or of an unknown version.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
            if not 2 <= length <= _MAX_HEADER:
                raise _damaged(path, "it is not a safetensors file")
            header = json.loads(stream.read(length))
        text = header["__metadata__"][_KEY]
        if not isinstance(text, str) or len(text) > _MAX_FACTS:
            raise _damaged(path, "its description is too large")
        facts = json.loads(text)
        version = facts.pop("version")
        if version != _VERSION:
            raise _damaged(path, f"it is of version {version!r}, and this program reads version {_VERSION}")
        facts["faces_sha256"] = tuple(facts["faces_sha256"])
        facts["history"] = tuple(facts["history"])
        facts["rollbacks"] = tuple(facts.get("rollbacks", ()))
        return _checked(CheckpointFacts(**facts))
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, "its description is not what this program writes") from error


def _checked(facts: CheckpointFacts) -> CheckpointFacts:
    """The same facts: what is reckoned with are numbers.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is not.
    """
    if not 0.0 < facts.learning_rate_factor <= 1.0 or type(facts.curve_start) is not int or facts.curve_start < 0:
        raise ValueError
    rows = [[row["iteration"], row["seconds"], *row.values()] for row in facts.history]
    events = [[event["iteration"], event["back_to"], event["seconds"]] for event in facts.rollbacks]
    reasons = [event["reason"] for event in facts.rollbacks]
    if not all(math.isfinite(value) for values in rows + events for value in values):
        raise ValueError
    if not all(isinstance(reason, str) for reason in reasons):
        raise TypeError
    return facts


def load(path: Path) -> Checkpoint:
    """Read a checkpoint whole and check every byte of its tensors.

    Raises:
        CheckpointError: it is missing, truncated, edited or of an unknown version.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    facts = read_facts(path)
    try:
        tensors: dict[str, Tensor] = load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise _damaged(path, "it is truncated or damaged") from error
    if digest_of(tensors) != facts.tensors_sha256:
        raise _damaged(path, "its weights were changed after it was written")
    return Checkpoint(facts, tensors)


def load_weights(prefix: str, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a network the tensors whose names begin with ``prefix`` and a dot.

    Raises:
        CheckpointError: they do not fit this network.
    """
    start = len(prefix) + 1
    mine = {name[start:]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")}
    try:
        module.load_state_dict(mine)
    except RuntimeError as error:
        raise CheckpointError(
            "The checkpoint's weights do not fit this preset's network. "
            "It was written by another preset or version: delete the model's folder and train again."
        ) from error
