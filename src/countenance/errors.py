"""Every error that Countenance raises on purpose.

    CountenanceError
    ├── InputError               what was given cannot be used
    │   ├── MediaError           a video, photo or folder: missing, truncated, not a video, unreadable
    │   ├── ConfigError          an unknown key, a value out of range
    │   ├── ProjectError         not a project folder, no such person, no such model
    │   └── NoFaceError          no usable face, too few faces, or only faces of somebody else
    ├── RefusedError             one of the five rules says no
    │   ├── ConsentError         no record, forged, expired, revoked, other face, other scope
    │   ├── SexualContentError   the sexual-content screen flagged the material
    │   └── MinorError           a face appears under age
    ├── IntegrityError           stored data is not what was written: tampered, damaged, of another kind
    │   ├── FaceSetError
    │   ├── CheckpointError
    │   └── LedgerError
    ├── MarkError                marking or signing failed; the unmarked output was destroyed
    ├── WeightsError             network weights could not be fetched or do not match their checksum
    ├── OutputError              writing failed: disk full, no permission; nothing half-written is left
    └── TrainingError            training cannot go on: too little data, diverged, device not there

A message is one sentence that says what is wrong and one that says what to do. The cause (file, frame, the
tool's own words) is chained with ``raise ... from``.
"""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "ConfigError",
    "ConsentError",
    "CountenanceError",
    "FaceSetError",
    "InputError",
    "IntegrityError",
    "LedgerError",
    "MarkError",
    "MediaError",
    "MinorError",
    "NoFaceError",
    "OutputError",
    "ProjectError",
    "RefusedError",
    "SexualContentError",
    "TrainingError",
    "WeightsError",
]


class CountenanceError(Exception):
    """Root of the tree; the command line prints its message and exits with 2."""


class InputError(CountenanceError):
    """What was given cannot be used."""


class MediaError(InputError):
    """A video, photo or folder is missing, truncated, unreadable or not what its name says."""


class ConfigError(InputError):
    """A configuration has an unknown key or a value out of range."""


class ProjectError(InputError):
    """A project folder, person or model is not there or not complete."""


class NoFaceError(InputError):
    """No usable face, too few faces, or only faces of somebody else."""


class RefusedError(CountenanceError):
    """One of the product's rules refuses this work; there is no switch."""


class ConsentError(RefusedError):
    """No consent record covers this face, purpose and time."""


class SexualContentError(RefusedError):
    """The sexual-content screen flagged the material."""


class MinorError(RefusedError):
    """A face appears to be under age."""


class IntegrityError(CountenanceError):
    """Stored data is not what was written."""


class FaceSetError(IntegrityError):
    """A face set is damaged, tampered with or of an unknown version."""


class CheckpointError(IntegrityError):
    """A checkpoint is damaged, of another preset or of other people."""


class LedgerError(IntegrityError):
    """The ledger's hash chain does not hold."""


class MarkError(CountenanceError):
    """Marking or signing failed, so there is no output."""


class WeightsError(CountenanceError):
    """Network weights could not be fetched or do not match their checksum."""


class OutputError(CountenanceError):
    """Writing failed; nothing half-written is left."""


class TrainingError(CountenanceError):
    """Training cannot start or go on."""
