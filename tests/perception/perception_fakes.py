"""Networks that say what a test wants, and frames of the embedded performers."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from countenance.perception.session import Session

    Answer = Callable[[Mapping[str, NDArray]], list[NDArray]]


class FakeSession:
    """Answers by a function, and remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[Mapping[str, NDArray]] = []

    def run(self, inputs: Mapping[str, NDArray]) -> list[NDArray]:
        self.asked.append(inputs)
        return self._answer(inputs)


class FakeSessions:
    """Gives fakes by name; a name that is not there is a failure of the test."""

    def __init__(self, **answers: Answer) -> None:
        self.by_name = {name.replace("_", "-"): FakeSession(answer) for name, answer in answers.items()}

    def __call__(self, card_name: str) -> Session:
        return self.by_name[card_name]


@lru_cache(maxsize=8)
def clip(name: str, step: int) -> tuple[NDArray[np.uint8], ...]:
    """Every ``step``-th frame of an embedded clip, RGB."""
    path = files("countenance") / "data" / "performers" / f"{name}.mp4"
    with av.open(str(path)) as container:
        decoded = (frame for index, frame in enumerate(container.decode(video=0)) if index % step == 0)
        return tuple(frame.to_ndarray(format="rgb24") for frame in decoded)
