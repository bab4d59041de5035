from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from countenance.errors import WeightsError
from countenance.perception import prepare, weights
from countenance.perception.perceive import Perception
from countenance.perception.session import NetworkSessions, default_sessions


def test_a_network_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = NetworkSessions(threads=1)
    first = sessions("face-detector")
    monkeypatch.setattr(weights, "read", lambda name: pytest.fail("read twice"))
    assert sessions("face-detector") is first
    assert default_sessions() is default_sessions()


def test_threads_may_share_a_network() -> None:
    session = NetworkSessions()("face-blendshapes")
    points = np.random.default_rng(0).uniform(0, 300, (8, 1, 146, 2)).astype(np.float32)
    alone = [session.run({"serving_default_input_points:0": item})[0] for item in points]
    together: dict[int, np.ndarray] = {}

    def work(index: int) -> None:
        for _ in range(20):
            together[index] = session.run({"serving_default_input_points:0": points[index]})[0]

    workers = [threading.Thread(target=work, args=(index,)) for index in range(len(points))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for index, expected in enumerate(alone):
        np.testing.assert_array_equal(together[index], expected)


@pytest.mark.parametrize(
    ("card", "name", "shape"),
    [
        ("face-detector", "input", (1, 3, 192, 320)),
        ("face-mesh", "input_12", (1, 256, 256, 3)),
        ("face-embedder", "data", (1, 3, 112, 112)),
    ],
)
def test_more_threads_give_the_same_numbers(card: str, name: str, shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(0).random(shape, np.float32)
    alone, together = (NetworkSessions(threads)(card).run({name: picture}) for threads in (1, 2))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_refuses_no_threads_and_unknown_names() -> None:
    with pytest.raises(ValueError, match="threads"):
        NetworkSessions(threads=0)
    with pytest.raises(WeightsError, match="no network called 'psychic'"):
        NetworkSessions()("psychic")


def test_loading_says_nothing_but_hides_nothing_else() -> None:
    script = (
        "import os\n"
        "from countenance.perception.session import NetworkSessions, _without_greeting\n"
        "NetworkSessions()('face-blendshapes'); NetworkSessions()('face-detector')\n"
        "with _without_greeting():\n"
        "    os.write(2, b'INFO: hello\\nERROR: look\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout == ""
    assert done.stderr == "ERROR: look\n"


def test_making_a_perception_loads_no_runtime() -> None:
    script = (
        "import sys\n"
        "from countenance.perception.perceive import Perception\n"
        "bundle = Perception()\n"
        "parts = [bundle.detector, bundle.mesh, bundle.embedder, bundle.segmenter, bundle.occlusion]\n"
        "parts += [bundle.screen, bundle.age]\n"
        "assert bundle.detector is parts[0]\n"
        "print([name for name in ('onnxruntime', 'onnx', 'ai_edge_litert', 'torch', 'av') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_perception_hands_its_sessions_to_every_part() -> None:
    asked = []

    def provide(name: str):
        asked.append(name)
        raise WeightsError(name)

    picture = np.zeros((64, 64, 3), np.uint8)
    bundle = Perception(provide)
    for part in (bundle.detector, bundle.segmenter, bundle.screen):
        with pytest.raises(WeightsError):
            part(picture)
    assert asked == ["face-detector", "person-mask", "sexual-content"]


def test_the_embedder_unpacked_says_what_the_quantised_one_says() -> None:
    model = weights.read("face-embedder")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    packed = onnxruntime.InferenceSession(model, options)
    unpacked = onnxruntime.InferenceSession(prepare.unpack_quantised(model), options)
    assert [entry.name for entry in unpacked.get_inputs()] == ["data"]
    face = np.random.default_rng(0).integers(0, 255, (1, 3, 112, 112)).astype(np.float32)
    unused = {entry.name: np.zeros(entry.shape, np.float32) for entry in packed.get_inputs()}
    before = packed.run(None, {**unused, "data": face})[0]
    after = unpacked.run(None, {"data": face})[0]
    assert np.abs(before).max() > 0.1
    np.testing.assert_allclose(after, before, atol=1e-5)


@pytest.mark.parametrize(("axis", "block"), [(0, 4), (1, 2), (0, 0)])
@pytest.mark.parametrize("steepest", [0.9, 1.5])
def test_unpacking_follows_onnx_own_dequantisation(axis: int, block: int, steepest: float) -> None:
    rng = np.random.default_rng(2)
    weight = rng.integers(-128, 127, (8, 6)).astype(np.int8)
    groups = list(weight.shape)
    groups[axis] = -(-groups[axis] // block) if block else groups[axis]
    shape = groups if block else [weight.shape[axis]]
    scale = rng.uniform(0.01, 0.1, shape).astype(np.float32)
    zero = rng.integers(-5, 5, shape).astype(np.int8)
    slope = np.append(rng.uniform(-0.5, steepest, 7), steepest).astype(np.float32)
    constants = {"w": weight, "s": scale, "z": zero, "slope": slope, "shape": np.array([6, 8], np.int64)}
    attributes = {"axis": axis, **({"block_size": block} if block else {})}
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], **attributes),
        helper.make_node("Reshape", ["d", "shape"], ["r"]),
        helper.make_node("MatMul", ["x", "r"], ["m"]),
        helper.make_node("PRelu", ["m", "slope"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(proto)
    model = proto.SerializeToString()
    changed = prepare.unpack_quantised(model)
    kinds = {node.op_type for node in onnx.load_model_from_string(changed).graph.node}
    assert kinds == {"MatMul", "Relu", "Mul", "Add"}
    x = rng.normal(size=(1, 6)).astype(np.float32)
    expected = onnxruntime.InferenceSession(model).run(None, {"x": x})[0]
    np.testing.assert_allclose(onnxruntime.InferenceSession(changed).run(None, {"x": x})[0], expected, rtol=1e-5)


def test_the_freed_detector_says_the_same_at_its_old_size() -> None:
    model = weights.read("face-detector")
    picture = np.random.default_rng(0).integers(0, 255, (1, 3, 640, 640)).astype(np.float32)
    fixed = onnxruntime.InferenceSession(model).run(None, {"input": picture})
    free = onnxruntime.InferenceSession(prepare.free_picture_size(model)).run(None, {"input": picture})
    for before, after in zip(fixed, free, strict=True):
        np.testing.assert_allclose(after, before, atol=1e-5)
