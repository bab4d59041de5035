"""Countenance: consented face replacement in video, with proof of it in the file.

The public names are the commands as functions (see :mod:`countenance.api`) and what they give and raise. Importing the
package loads none of the heavy libraries; the first use of a name does, as far as it needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from countenance.api import (
        attest,
        consent_accept,
        consent_capture,
        consent_challenge,
        consent_check,
        consent_enrol,
        consent_keygen,
        consent_request,
        consent_revoke,
        consent_sign,
        consent_status_check,
        consent_status_publish,
        consent_witness,
        evaluate,
        extract,
        faces,
        forget,
        ledger_export,
        ledger_verify,
        new,
        preview,
        register_add,
        register_export,
        register_list,
        register_serve,
        swap,
        train,
        verify,
    )
    from countenance.errors import CountenanceError
    from countenance.project import Project

__version__ = "0.1.0"

__all__ = [
    "CountenanceError",
    "Project",
    "__version__",
    "attest",
    "consent_accept",
    "consent_capture",
    "consent_challenge",
    "consent_check",
    "consent_enrol",
    "consent_keygen",
    "consent_request",
    "consent_revoke",
    "consent_sign",
    "consent_status_check",
    "consent_status_publish",
    "consent_witness",
    "evaluate",
    "extract",
    "faces",
    "forget",
    "ledger_export",
    "ledger_verify",
    "new",
    "preview",
    "register_add",
    "register_export",
    "register_list",
    "register_serve",
    "swap",
    "train",
    "verify",
]

_HOME = {"CountenanceError": "countenance.errors", "Project": "countenance.project"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME.get(name, "countenance.api")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
