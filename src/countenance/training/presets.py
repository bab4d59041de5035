"""What a preset is: one frozen record per recipe, from which the model, the batches and the loop are made."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from countenance.errors import ConfigError
from countenance.geometry import CROP_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LATENT_SIDE", "PRESETS", "Preset", "completed", "preset"]

LATENT_SIDE = 8
"""Side of the guided encoder's latent, whatever its input's."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A training recipe.

    Attributes:
        name: what the user types.
        family: ``classic`` paints a face from the latent alone; ``guided`` starts from the lender's own most similar
            crops, warped to the performer's geometry, and learns the rest.
        input_size: side of the encoder's input in pixels.
        base_size: side of the picture that the decoder paints.
        output_size: side of the finished face: ``base_size``, or twice that with the finest detail carried over from
            the references.
        batch_size: samples of each person in one iteration.
        learning_rate: of Adam or AdamW.
        betas: Adam's decay rates.
        weight_decay: decoupled; 0 means plain Adam.
        ema_decay: of the averaged weights that conversion uses; 0 means that the last weights are used.
        widths: channels of the guided decoder's levels, from 1/2 of ``base_size`` on, each half as large as the one
            before; at least three.
        encoder_widths: channels of the guided encoder's levels, from 1/2 of ``input_size`` to the latent's side.
        bottleneck: numbers between the guided encoder's two dense layers.
        latent_channels: channels of the 8 × 8 latent of the guided encoder.
        precision: of the guided network's layers on a CUDA device; elsewhere, and outside of them, all is float32.
        version: of what the network is given and asked for; a checkpoint of another one cannot be continued.

    Raises:
        ValueError: the guided family's sizes do not fit each other.
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
    encoder_widths: tuple[int, ...] = (48, 96, 128)
    bottleneck: int = 256
    latent_channels: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    version: int = 1

    def __post_init__(self) -> None:
        if self.family == "classic":
            return
        if self.input_size != LATENT_SIDE * 2 ** len(self.encoder_widths):
            raise ValueError(f"Preset: {len(self.encoder_widths)} encoder levels do not fit input_size")
        if len(self.widths) < 3 or self.base_size % 2 ** len(self.widths):
            raise ValueError(f"Preset: {len(self.widths)} decoder levels do not fit base_size")
        if self.output_size not in (self.base_size, 2 * self.base_size) or self.output_size < CROP_SIZE:
            raise ValueError(f"Preset: expected output_size to be base_size or twice that, and {CROP_SIZE} at least")

    @property
    def crop_size(self) -> int:
        """Side in pixels of the aligned faces that training and conversion need."""
        return max(CROP_SIZE, self.output_size)

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON values; a checkpoint carries it and refuses to resume under another."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


_GUIDED_VERSION = 3  # 2: references in the wanted light; 3: without hair, and the loss asks for detail

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
        version=_GUIDED_VERSION,
    ),
    "cinema-256": Preset(
        name="cinema-256",
        family="guided",
        input_size=128,
        base_size=256,
        output_size=256,
        batch_size=16,
        learning_rate=5e-4,
        betas=(0.9, 0.99),
        weight_decay=1e-2,
        ema_decay=0.999,
        widths=(64, 128, 192, 256, 320),
        encoder_widths=(64, 128, 192, 256),
        bottleneck=512,
        latent_channels=64,
        precision="bfloat16",
        version=_GUIDED_VERSION,
    ),
}
PRESETS["cinema-512"] = replace(
    PRESETS["cinema-256"],
    name="cinema-512",
    base_size=512,
    output_size=512,
    batch_size=8,
    learning_rate=3e-4,
    widths=(64, 128, 192, 256, 320, 384),
)


def completed(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe as a checkpoint has it (:meth:`Preset.to_json`), with the fields that recipes have got since then.

    Each such field has the default that recipes before it meant.
    """
    defaults = {field.name: field.default for field in fields(Preset) if field.default is not MISSING}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in {**defaults, **recipe}.items()}


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
