"""Where a number was measured: program, commit, packages, machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from countenance import __version__
from countenance.digest import file_sha256

__all__ = ["commit", "program_sha256", "surroundings"]

_PACKAGES = ("torch", "numpy", "opencv-python-headless", "av", "onnxruntime", "ai-edge-litert", "c2pa-python")
_ROOT = Path(__file__).resolve().parents[1]


def program_sha256() -> str:
    """Hash of the program's own source, which decides whether an old result is this program's result."""
    digest = hashlib.sha256()
    for path in sorted(_ROOT.rglob("*.py")):
        digest.update(f"{path.relative_to(_ROOT).as_posix()}\n{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def commit() -> str | None:
    """The commit that the program lies in, with ``+`` when its files differ from it; None outside a checkout."""
    marker = str(Path(__file__).resolve())
    if _git("ls-files", "--error-unmatch", marker) is None:  # a virtual environment inside somebody else's checkout
        return None
    head = _git("rev-parse", "HEAD")
    if head is None:
        return None
    return head + ("+" if _git("status", "--porcelain", "--untracked-files=no", "--", str(_ROOT)) else "")


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            ["git", "-C", str(_ROOT), *words],  # noqa: S607 - the user's own git
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def surroundings(device: str) -> dict[str, Any]:
    """Everything beside the code that a figure depends on, as JSON's types.

    Args:
        device: torch's name of the device that was trained on.
    """
    import torch

    return {
        "countenance": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu_cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
