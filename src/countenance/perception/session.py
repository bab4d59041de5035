"""Networks behind one small protocol, so that tests can inject their own and nothing else knows which runtime it is."""

from __future__ import annotations

import os
import tempfile
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from countenance.errors import WeightsError
from countenance.perception import prepare, weights
from countenance.perception.cards import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DEFAULT_THREADS", "NetworkSessions", "OnnxSession", "Session", "SessionProvider", "default_sessions"]


def _usable_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Linux only
        return os.cpu_count() or 1


DEFAULT_THREADS = 2 if _usable_cores() > 2 else 1
"""Threads inside one network: more than two hardly help nets this small, and decoding and training want cores too.

On two cores the stages of a conversion keep both busy by themselves, and a network's second thread costs the landmarks
a fifth more CPU time. The numbers that come out are the same.
"""


class Session(Protocol):
    """One network, ready to run."""

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        """Run the network.

        Args:
            inputs: arrays by input name, as the card's ``input_convention`` says.

        Returns:
            The outputs in the network's own order.
        """
        ...


class SessionProvider(Protocol):
    """Gives the session of a network by its card's name."""

    def __call__(self, card_name: str) -> Session:
        """The session of ``card_name``; the same one for the same name."""
        ...


class OnnxSession:
    """ONNX Runtime on the CPU. Safe to share between threads.

    Args:
        model: the network as an ONNX file has it.
        threads: inside the network.
    """

    def __init__(self, model: bytes, threads: int = DEFAULT_THREADS) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning workers would burn the cores that decode and train between two frames.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        """See :class:`Session`."""
        outputs: list[NDArray[np.float32]] = self._session.run(None, dict(inputs))
        return outputs


class _LiteSession:
    """LiteRT on the CPU. An interpreter holds one set of tensors, hence the lock."""

    def __init__(self, model: bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with _without_greeting():
            self._interpreter: Any = Interpreter(model_content=model, num_threads=threads)
            self._interpreter.allocate_tensors()
        self._inputs = {str(entry["name"]): int(entry["index"]) for entry in self._interpreter.get_input_details()}
        self._outputs = [int(entry["index"]) for entry in self._interpreter.get_output_details()]
        self._lock = threading.Lock()

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        with self._lock:
            for name, value in inputs.items():
                self._interpreter.set_tensor(self._inputs[name], value)
            self._interpreter.invoke()
            return [self._interpreter.get_tensor(index) for index in self._outputs]


@contextmanager
def _without_greeting() -> Iterator[None]:
    """Drop the INFO lines that LiteRT writes to the process's stderr, which it has no setting for; pass others on."""
    try:
        stderr = os.dup(2)
    except OSError:  # a process without stderr, as under pythonw
        yield
        return
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            said.seek(0)
            for line in said:
                if not line.startswith(b"INFO:"):
                    os.write(2, line)


_PREPARE: dict[str, Callable[[bytes], bytes]] = {
    "face-detector": prepare.free_picture_size,
    "face-embedder": prepare.unpack_quantised,
}


class NetworkSessions:
    """The real networks, loaded at first use and kept.

    Args:
        threads: threads inside one network, at least 1.

    Raises:
        ValueError: ``threads`` is below 1.
    """

    def __init__(self, threads: int = DEFAULT_THREADS) -> None:
        if threads < 1:
            raise ValueError(f"NetworkSessions: expected threads >= 1, got {threads}")
        self._threads = threads
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def __call__(self, card_name: str) -> Session:
        """The session of a card, fetched and loaded at first use.

        Raises:
            WeightsError: no such card, the weights cannot be fetched, or the runtime cannot load them.
            OutputError: the cache cannot be written.
        """
        with self._lock:
            session = self._sessions.get(card_name)
            if session is None:
                session = self._load(card_name)
                self._sessions[card_name] = session
            return session

    def _load(self, card_name: str) -> Session:
        if card_name in SHIPPED:
            file_name, model = SHIPPED[card_name].file_name, weights.read_shipped(card_name)
        else:
            file_name, model = weights.card(card_name).file_name, weights.read(card_name)
        runtime = _LiteSession if file_name.endswith(".tflite") else OnnxSession
        try:
            return runtime(_PREPARE.get(card_name, bytes)(model), self._threads)
        except Exception as error:  # three foreign libraries, each with errors of its own and no common root
            raise WeightsError(
                f"The network {card_name!r} could not be loaded ({error}). Reinstall onnxruntime, onnx and "
                "ai-edge-litert in the versions that Countenance asks for."
            ) from error


_default: NetworkSessions | None = None
_default_lock = threading.Lock()


def default_sessions() -> NetworkSessions:
    """The process's own set of networks, with :data:`DEFAULT_THREADS` threads each."""
    global _default  # noqa: PLW0603 - one per process is the point: weights are loaded once
    with _default_lock:
        if _default is None:
            _default = NetworkSessions()
        return _default
