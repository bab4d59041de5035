"""A guided model with fixed weights as ONNX Runtime executes it on the CPU: the same sums, a third sooner than torch.

The graph is written down here operator by operator; torch's own exporter would bring its warnings and its guesses. All
is float32: a preset's lower precision is for CUDA, where torch paints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from countenance.perception.session import OnnxSession
from countenance.training.convolution import doubled_weights
from countenance.training.model import GuidedModel, GuidedOutput, mask_start, start_of
from countenance.training.presets import LATENT_SIDE

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

    from countenance.types import Float32

__all__ = ["ExportedModel"]

_OPSET, _IR = 17, 8


def _unshuffled(weight: Float32) -> Float32:
    """A convolution's weights after torch's pixel unshuffle by 2 for after ONNX's, which orders channels otherwise."""
    outputs, inputs, *sides = weight.shape
    return weight.reshape(outputs, inputs // 4, 4, *sides).swapaxes(1, 2).reshape(weight.shape)


class _Graph:
    """Nodes and weights in the order in which they are needed."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []

    def add(self, kind: str, *inputs: str | Float32, **attributes: Any) -> str:
        """A node of one output, whose name is returned; arrays become weights of the graph."""
        from onnx import helper, numpy_helper

        names = []
        for one in inputs:
            if not isinstance(one, str):
                self.weights.append(numpy_helper.from_array(np.ascontiguousarray(one), f"w{len(self.weights)}"))
            names.append(one if isinstance(one, str) else self.weights[-1].name)
        output = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def conv(self, x: str, conv: nn.Conv2d, *, unshuffled: bool = False) -> str:
        weight = _array(conv.weight)
        weight = _unshuffled(weight) if unshuffled else weight
        pads = [conv.kernel_size[0] // 2] * 4  # the guided model's keep the side, but for the stride
        return self.add("Conv", x, weight, _array(conv.bias), pads=pads, strides=list(conv.stride))

    def leaky(self, x: str) -> str:
        return self.add("LeakyRelu", x, alpha=0.1)

    def through(self, x: str, layers: nn.Module) -> str:
        """Any nesting of the model's convolutions, activations and pixel unshuffles."""
        unshuffled = False
        for layer in (one for one in layers.modules() if not list(one.children())):
            if isinstance(layer, nn.Conv2d):
                x, unshuffled = self.conv(x, layer, unshuffled=unshuffled), False
            elif isinstance(layer, nn.PixelUnshuffle):
                x, unshuffled = self.add("SpaceToDepth", x, blocksize=2), True
            elif isinstance(layer, nn.LeakyReLU):
                x = self.leaky(x)
            else:
                raise TypeError(f"ExportedModel: expected convolutions and activations, got {type(layer).__name__}")
        return x

    def join(self, below: str, seen: str, join: Any) -> str:
        """See :func:`countenance.training.convolution.doubled_beside`."""
        conv = join[0]
        doubled, own = (_array(one) for one in doubled_weights(conv, conv.in_channels - conv.out_channels))
        doubled_ = self.add("ConvTranspose", below, doubled, strides=[2, 2], pads=[1] * 4)
        return self.leaky(self.add("Add", doubled_, self.add("Conv", seen, own, _array(conv.bias), pads=[1] * 4)))

    def linear(self, x: str, layer: nn.Linear) -> str:
        return self.add("Gemm", x, _array(layer.weight), _array(layer.bias), transB=1)


def _array(tensor: Tensor | None) -> Float32:
    if tensor is None:
        raise TypeError("ExportedModel: expected a bias in every layer")
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), np.float32)


def _graph_of(model: GuidedModel, person: str) -> bytes:
    """The encoder and a person's decoder as an ONNX model: ``driver`` and ``given`` in, ``painted`` out."""
    from onnx import TensorProto, helper

    encoder: Any = model.encoder
    decoder: Any = model.decoders[person]
    graph = _Graph()
    latent = graph.add("Flatten", graph.through("driver", encoder.down), axis=1)
    latent = graph.linear(graph.leaky(graph.linear(latent, encoder.squeeze)), encoder.spread)
    shape = np.array([-1, encoder.latent_channels, LATENT_SIDE, LATENT_SIDE], np.int64)
    latent = graph.leaky(graph.add("Reshape", latent, shape))  # type: ignore[arg-type]  # a shape is of integers
    seen = [graph.through("given", decoder.enter)]
    for scale in decoder.inner:
        seen.append(graph.through(seen[-1], decoder.get_submodule(f"down{scale}")))
    x = graph.through(seen[-1], decoder.get_submodule(f"down{decoder.bottom}"))
    x = graph.through(graph.add("Concat", x, latent, axis=1), decoder.join)
    for scale in decoder.inner[::-1]:
        x = graph.join(x, seen.pop(), decoder.get_submodule(f"up{scale}"))
    join, last = decoder.up2
    x = graph.conv(graph.through(graph.join(x, seen.pop(), join), last), decoder.paint)
    graph.nodes.append(helper.make_node("DepthToSpace", [x], ["painted"], blocksize=2, mode="CRD"))

    def pictures(name: str, channels: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["faces", channels, f"{name}_h", f"{name}_w"])

    made = helper.make_graph(
        graph.nodes, "guided", [pictures("driver", 3), pictures("given", 7)], [pictures("painted", 4)], graph.weights
    )
    whole = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    return bytes(whole.SerializeToString())


class ExportedModel:
    """What a :class:`countenance.training.model.GuidedModel` on the CPU paints of one person, with its weights of now.

    Args:
        model: the model; it is no longer needed afterwards.
        person: one of :data:`countenance.training.model.PEOPLE`.
    """

    def __init__(self, model: GuidedModel, person: str) -> None:
        self._person, self._input_size = person, model.input_size
        self._session = OnnxSession(_graph_of(model, person))

    @torch.no_grad()
    def __call__(self, driver: Tensor, reference: Tensor, light: Tensor, face: Tensor, person: str) -> GuidedOutput:
        """See :meth:`countenance.training.model.GuidedModel.forward`.

        Raises:
            ValueError: another person than the exported one, or a driver of another side.
        """
        if person != self._person or driver.shape[-1] != self._input_size:
            raise ValueError(
                f"ExportedModel: expected drivers of side {self._input_size} for the {self._person}, got "
                f"{driver.shape[-1]} for the {person}"
            )
        start = start_of(reference, light, face)
        given = torch.cat([start - 0.5, light - 0.5, face], 1)
        inputs = {"driver": (driver - 0.5).contiguous().numpy(), "given": given.contiguous().numpy()}
        painted = torch.from_numpy(self._session.run(inputs)[0])
        return GuidedOutput(start + painted[:, :3], painted[:, 3:] + mask_start(face))
