"""Changes to two ONNX graphs when they are loaded; the files on disk stay as they were published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["free_picture_size", "unpack_quantised"]


def free_picture_size(model: bytes) -> bytes:
    """A detector whose input was fixed at 640 × 640, for any height and width that are multiples of 32.

    The graph is convolutional and its reshapes already say −1, so only the declared shapes stand in the way.
    """
    import onnx

    proto = onnx.load_model_from_string(model)
    height, width = proto.graph.input[0].type.tensor_type.shape.dim[2:]
    height.dim_param, width.dim_param = "height", "width"
    for output in proto.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = f"cells_{output.name}"
    del proto.graph.value_info[:]  # stale shapes of the layers in between
    return bytes(proto.SerializeToString())


def unpack_quantised(model: bytes) -> bytes:
    """A block-quantised network with its weights as plain float32, which ONNX Runtime's CPU kernels run faster.

    Folds ``DequantizeLinear`` (and the ``Reshape`` after it) into initializers, and writes
    ``PRelu(x) = a·x + Relu((1 − a)·x)``, since PRelu has no vectorised kernel there.
    """
    import onnx
    from onnx import numpy_helper

    proto = onnx.load_model_from_string(model)
    graph = proto.graph
    values = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    nodes: list[Any] = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and all(name in values for name in node.input):
            values[node.output[0]] = _dequantise(node, values)
        elif node.op_type == "Reshape" and all(name in values for name in node.input):
            values[node.output[0]] = values[node.input[0]].reshape(values[node.input[1]])
        elif node.op_type == "PRelu" and node.input[1] in values:
            nodes += _plain_prelu(node, values)
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.input}
    # The published graph still declares its former float weights as inputs, which nothing reads.
    inputs = [entry for entry in graph.input if entry.name in used and entry.name not in values]
    del graph.node[:], graph.initializer[:], graph.input[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in values.items() if name in used
    )
    return bytes(proto.SerializeToString())


def _dequantise(node: Any, values: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """ONNX's blocked DequantizeLinear: each block of ``block_size`` values along ``axis`` has its own scale."""
    attributes = {entry.name: entry.i for entry in node.attribute}
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    quantised = values[node.input[0]].astype(np.float32)
    scale = values[node.input[1]].astype(np.float32)
    zero = values[node.input[2]].astype(np.float32) if len(node.input) > 2 else np.zeros_like(scale)
    if block:
        length = quantised.shape[axis]
        scale = np.repeat(scale, block, axis=axis).take(range(length), axis=axis)
        zero = np.repeat(zero, block, axis=axis).take(range(length), axis=axis)
    elif scale.ndim == 1:
        shape = [1] * quantised.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return np.asarray((quantised - zero) * scale, np.float32)


def _plain_prelu(node: Any, values: dict[str, NDArray[Any]]) -> list[Any]:
    from onnx import helper

    source, slope, result = node.input[0], node.input[1], node.output[0]
    values[f"{result}/keep"] = np.asarray(values[slope], np.float32)
    values[f"{result}/lift"] = np.asarray(1.0 - values[slope], np.float32)
    # A Relu that follows a product is computed with it; a negative factor would turn what it keeps.
    order = ("Mul", "Relu") if (values[f"{result}/lift"] >= 0.0).all() else ("Relu", "Mul")
    factors: dict[str, list[str]] = {"Mul": [f"{result}/lift"], "Relu": []}
    return [
        helper.make_node(order[0], [source, *factors[order[0]]], [f"{result}/half"]),
        helper.make_node(order[1], [f"{result}/half", *factors[order[1]]], [f"{result}/lifted"]),
        helper.make_node("Mul", [source, f"{result}/keep"], [f"{result}/kept"]),
        helper.make_node("Add", [f"{result}/kept", f"{result}/lifted"], [result]),
    ]
