"""What a preset is: one frozen record per recipe, from which the model, the batches and the loop are made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from countenance.errors import ConfigError

__all__ = ["PRESETS", "Preset", "preset"]


@dataclass(frozen=True, slots=True)
class Preset:
    """A training recipe.

    Attributes:
        name: what the user types.
        family: ``classic`` paints a face from the latent alone; ``guided`` starts from the lender's own most similar
            crops, warped to the performer's geometry, and learns the rest.
        input_size: side of the encoder's input in pixels.
        base_size: side of the picture that the decoder paints.
        output_size: side of the finished face (``base_size`` plus detail carried over from the references).
        batch_size: samples of each person in one iteration.
        learning_rate: of Adam or AdamW.
        betas: Adam's decay rates.
        weight_decay: decoupled; 0 means plain Adam.
        ema_decay: of the averaged weights that conversion uses; 0 means that the last weights are used.
        widths: channels of the guided decoder from 1/2 to 1/16 of ``base_size``.
        latent_channels: channels of the 8 × 8 latent of the guided encoder.
        version: of what the network is given and asked for; a checkpoint of another one cannot be continued.
    """

    name: str
    family: Literal["classic", "guided"]
    input_size: int
    base_size: int
    output_size: int
    batch_size: int
    learning_rate: float
    betas: tuple[float, float]
    weight_decay: float = 0.0
    ema_decay: float = 0.0
    widths: tuple[int, ...] = ()
    latent_channels: int = 0
    version: int = 1

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON values; a checkpoint carries it and refuses to resume under another."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


PRESETS: dict[str, Preset] = {
    "classic": Preset(
        name="classic",
        family="classic",
        input_size=64,
        base_size=64,
        output_size=64,
        batch_size=64,
        learning_rate=5e-5,
        betas=(0.5, 0.999),
    ),
    "swift": Preset(
        name="swift",
        family="guided",
        input_size=64,
        base_size=128,
        output_size=256,
        batch_size=8,
        learning_rate=1e-3,
        betas=(0.9, 0.99),
        weight_decay=1e-2,
        ema_decay=0.995,
        widths=(32, 64, 96, 128),
        latent_channels=32,
        version=2,  # references in the wanted light
    ),
}


def preset(name: str) -> Preset:
    """Look a preset up by name.

    Raises:
        ConfigError: no such preset.
    """
    try:
        return PRESETS[name]
    except KeyError:
        known = ", ".join(sorted(PRESETS))
        raise ConfigError(f"There is no preset called {name!r}. Choose one of: {known}.") from None
