"""What the trackers, smoothers and colour matches remember, as plain JSON and back, so that a render goes on from it.

Whatever an object holds is stored, so that a new memory is never forgotten; what cannot be stored raises, which the
tests of the segments see at once. Only the classes listed here are ever made from a file, and nothing is unpickled.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from countenance.color import ColorMatch
from countenance.conversion.decide import Decider, Fade
from countenance.conversion.occlusion import Steadied
from countenance.conversion.recognise import Identity
from countenance.conversion.report import Spans, VeiledSpan
from countenance.conversion.screens import FaceAges, FrameScreen
from countenance.conversion.smooth import PointHistory
from countenance.conversion.swap import Painter, Remembered
from countenance.conversion.texture import Texture, TextureMatcher
from countenance.conversion.track import Track, Tracker
from countenance.media.shots import ShotDetector
from countenance.perception.screen import Looks
from countenance.types import FaceLandmarks

__all__ = ["dump", "fill", "load"]

_CLASSES = {
    kind.__name__: kind
    for kind in (
        ColorMatch, Decider, FaceAges, FaceLandmarks, Fade, FrameScreen, Identity, Looks, Painter, PointHistory,
        Remembered, ShotDetector, Spans, Steadied, Texture, TextureMatcher, Track, Tracker, VeiledSpan,
    )
}  # fmt: skip

# What an object works with, in contrast to what it remembers: given to its constructor, each time anew.
_GIVEN = {
    "Tracker": {"_see", "_template", "_settings", "_watch"},
    "Decider": {"_settings", "_performer_cosine", "_crop_size", "_look_back"},
    "FaceAges": {"_estimate", "_every"},
    "FrameScreen": {"_score", "_name", "_unseen"},
    "Painter": {"_swapper", "_settings", "_occlusion", "_watch", "_keep_patches", "crop_size"},
}


def dump(value: Any) -> Any:
    """The value as JSON's types.

    Raises:
        TypeError: something in it is of a class that is not listed here.
    """
    if value is None or type(value) in (bool, str, int, float):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return _dump_array(np.asarray(value))
    of_kind = _DUMPED.get(type(value))
    return _dump_object(value) if of_kind is None else of_kind(value)


_DUMPED: dict[type, Callable[[Any], Any]] = {
    list: lambda value: [dump(item) for item in value],
    tuple: lambda value: {"tuple": [dump(item) for item in value]},
    dict: lambda value: {"dict": [[dump(key), dump(item)] for key, item in value.items()]},
    deque: lambda value: {"deque": [dump(item) for item in value], "maxlen": value.maxlen},
    Fraction: lambda value: {"fraction": [value.numerator, value.denominator]},
}


def load(stored: Any) -> Any:
    """The value of what :func:`dump` gave.

    Raises:
        ValueError, TypeError, KeyError: it is no such thing.
    """
    if isinstance(stored, list):
        return [load(item) for item in stored]
    if not isinstance(stored, dict):
        return stored
    return _LOADED[next(iter(stored))](stored)


def _load_object(stored: dict[str, Any]) -> Any:
    made = object.__new__(_CLASSES[stored["object"]])
    fill(made, stored)
    return made


def fill(target: Any, stored: Any) -> None:
    """Give an object what another one of its class remembered.

    Raises:
        ValueError, TypeError, KeyError: it is the memory of another class.
    """
    if stored["object"] != type(target).__name__:
        raise ValueError(f"expected what a {type(target).__name__} remembers, got {stored['object']}")
    for key, item in stored["holds"].items():
        object.__setattr__(target, key, load(item))  # data classes may be frozen


def _dump_object(value: Any) -> dict[str, Any]:
    name = type(value).__name__
    if _CLASSES.get(name) is not type(value):
        raise TypeError(f"{name} cannot be kept between two segments: list it in conversion/state.py")
    remembered = _attributes(value) - _GIVEN.get(name, set())
    return {"object": name, "holds": {key: dump(getattr(value, key)) for key in sorted(remembered)}}


def _attributes(value: Any) -> set[str]:
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return {*slots, *getattr(value, "__dict__", ())}


def _dump_array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    # In the order of the memory: sums over another order may end in another last bit.
    order = sorted(range(array.ndim), key=lambda axis: (-abs(array.strides[axis]), axis))
    data = base64.b64encode(np.ascontiguousarray(array.transpose(order)).tobytes()).decode("ascii")
    return {"array": data, "dtype": array.dtype.str, "shape": list(array.shape), "order": order}


def _load_array(stored: dict[str, Any]) -> Any:
    order, shape = stored["order"], stored["shape"]
    flat = np.frombuffer(base64.b64decode(stored["array"]), np.dtype(stored["dtype"]))
    array = flat.reshape([shape[axis] for axis in order]).copy().transpose(np.argsort(order).tolist())
    return array if shape else array[()]


_LOADED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "array": _load_array,
    "fraction": lambda stored: Fraction(*stored["fraction"]),
    "tuple": lambda stored: tuple(load(item) for item in stored["tuple"]),
    "dict": lambda stored: {load(key): load(item) for key, item in stored["dict"]},
    "deque": lambda stored: deque((load(item) for item in stored["deque"]), maxlen=stored["maxlen"]),
    "object": _load_object,
}
