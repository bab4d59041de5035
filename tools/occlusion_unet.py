"""The network of tools/train_occlusion.py, its loss and its export."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from countenance.perception.occlusion import SIDE

__all__ = ["OcclusionUNet", "export", "loss_of"]


def _block(inputs: int, outputs: int, stride: int = 1, side: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, side, stride, 1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class OcclusionUNet(nn.Module):
    """Half the picture's side at its widest, so that a face costs 2 ms; the finest detail leaves by pixel shuffle."""

    def __init__(self, planes: int = 4, widths: tuple[int, int, int, int] = (16, 32, 48, 64)) -> None:
        super().__init__()
        a, b, c, d = widths
        self.planes = planes
        self.first = nn.Sequential(_block(3 + planes, a, 2, 4), _block(a, a))
        self.down = nn.ModuleList(
            [
                nn.Sequential(_block(a, b, 2), _block(b, b)),
                nn.Sequential(_block(b, c, 2), _block(c, c)),
                nn.Sequential(_block(c, d, 2), _block(d, d), _block(d, d)),
            ]
        )
        self.up = nn.ModuleList([_block(c + d, c), _block(b + c, b), _block(a + b, a)])
        self.last = nn.Conv2d(a, 4, 3, 1, 1)

    def forward(self, face: torch.Tensor) -> torch.Tensor:
        """Logits of being visible, (B, 1, SIDE, SIDE), for (B, 7, SIDE, SIDE) in -0.5..0.5."""
        levels = [self.first(face[:, : 3 + self.planes])]
        for step in self.down:
            levels.append(step(levels[-1]))
        x = levels.pop()
        for step in self.up:
            x = step(torch.cat([levels.pop(), nn.functional.interpolate(x, scale_factor=2.0)], 1))
        return nn.functional.pixel_shuffle(self.last(x), 2)


def loss_of(logits: torch.Tensor, visible: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Cross-entropy where the truth is certain, and the overlap of what is in front (soft Dice) of each picture."""
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, visible, reduction="none")
    front, said = (1 - visible) * counts, torch.sigmoid(-logits) * counts
    common, both = (front * said).sum((1, 2, 3)), (front + said).sum((1, 2, 3))
    dice = 1 - (2 * common + 30) / (both + 30)
    return (entropy * counts).sum() / counts.sum().clamp(min=1) + 0.3 * dice.mean()


class _Visible(nn.Module):
    def __init__(self, net: OcclusionUNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, face: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.net(face))


def export(net: OcclusionUNet, out: Path) -> None:
    """The network as ONNX: ``face`` float32 (1, 7, SIDE, SIDE) to the visible share of each pixel."""
    import onnx

    example = (torch.zeros(1, 7, SIDE, SIDE),)
    torch.onnx.export(
        _Visible(net).eval(),
        example,
        str(out),
        dynamo=False,
        opset_version=17,
        input_names=["face"],
        output_names=["visible"],
    )
    model = onnx.load(str(out))
    onnx.helper.set_model_props(model, {"licence": "Apache-2.0", "trained_by": "tools/train_occlusion.py"})
    onnx.save(model, str(out))
