"""What is put around a traced network, on networks small enough to be written out by hand."""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from m2aenet_core.errors import InputError
from m2aenet_core.onnx_file import IMAGE, Port, check_standard, describe, framed, require_onnx, store_halves

RESTORED = Port("restored", 3, "the image times a weight")
DARKEST = Port("darkest", 3, "the least value around each pixel")
Array = NDArray[np.float32]


def core(weight: Array) -> ModelProto:
    """A "network" that multiplies with a weight, and takes the least of 3 x 3 pixels (as a maximum of negatives)."""
    tensor = numpy_helper.from_array(weight, "network.weight")
    nodes = [
        helper.make_node("Mul", ["padded_image", "network.weight"], ["padded_restored"]),
        helper.make_node("Neg", ["padded_image"], ["negative"]),
        helper.make_node("MaxPool", ["negative"], ["lightest"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Neg", ["lightest"], ["padded_darkest"]),
    ]
    for node in nodes:
        node.metadata_props.add(key="stack_trace", value="File network.py, line 3")
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 3, "h", "w"])
        for name in ("padded_image", "padded_restored", "padded_darkest")
    ]
    graph = helper.make_graph(nodes, "core", values[:1], values[1:], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def run(model: ModelProto, image: Array) -> list[Array]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image})


@pytest.fixture
def weight(rng: np.random.Generator) -> Array:
    return rng.random((1, 3, 1, 1), dtype=np.float32)


@pytest.fixture
def model(weight: Array) -> ModelProto:
    return framed(core(weight), 8, [IMAGE], [RESTORED, DARKEST])


@pytest.mark.parametrize("size", [(1, 1), (7, 8), (8, 8), (9, 17), (16, 24)])
def test_any_size_goes_in_and_comes_out(
    model: ModelProto, weight: Array, size: tuple[int, int], rng: np.random.Generator
) -> None:
    image = rng.random((2, 3, *size), dtype=np.float32) + 1
    restored, darkest = run(model, image)
    np.testing.assert_array_equal(restored, image * weight)
    assert darkest.shape == image.shape


def test_zeros_are_added_at_the_bottom_and_the_right_alone(model: ModelProto) -> None:
    darkest = run(model, np.ones((1, 3, 9, 16), np.float32))[1]
    # 9 rows become 16, so the last row has black below it; 16 columns stay, and outside them nothing counts
    assert np.all(darkest[:, :, :8] == 1)
    assert np.all(darkest[:, :, 8] == 0)


def test_weights_get_the_networks_own_names_and_notes_of_the_machine_go(model: ModelProto) -> None:
    assert "weight" in {tensor.name for tensor in model.graph.initializer}
    assert b"network.py" not in model.SerializeToString()


def test_the_format_is_as_old_as_the_operators_allow(model: ModelProto) -> None:
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8


def test_halves_take_half_the_space_and_compute_the_same(rng: np.random.Generator) -> None:
    weight = rng.random((1, 3, 64, 64)).astype(np.float16).astype(np.float32)
    model = framed(core(weight), 64, [IMAGE], [RESTORED, DARKEST])
    image = rng.random((1, 3, 60, 64), dtype=np.float32)
    before, size = run(model, image), model.ByteSize()
    store_halves(model)
    check_standard(model)
    assert size - model.ByteSize() > 2 * weight.size - 200
    for whole, halved in zip(before, run(model, image), strict=True):
        np.testing.assert_array_equal(halved, whole)


def test_what_halves_cannot_hold_stays_whole(rng: np.random.Generator) -> None:
    weight = rng.random((1, 3, 64, 64), dtype=np.float32)
    model = framed(core(weight), 64, [IMAGE], [RESTORED, DARKEST])
    store_halves(model)
    kept = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    np.testing.assert_array_equal(kept["weight"], weight)


def test_a_file_says_what_it_is(model: ModelProto) -> None:
    describe(model, "Two networks in one.", {"version": "1"}, [IMAGE], [RESTORED, DARKEST])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    about = session.get_modelmeta()
    assert about.description.startswith("Two networks in one.")
    assert "- darkest: the least value around each pixel" in about.description
    assert about.custom_metadata_map["version"] == "1"
    assert json.loads(about.custom_metadata_map["outputs"])["restored"] == RESTORED.about


def test_operators_of_others_are_refused(model: ModelProto) -> None:
    model.graph.node[0].domain = "com.microsoft"
    with pytest.raises(InputError, match=r"operators that ONNX does not have \(Shape\); install another"):
        check_standard(model)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_missing_packages_get_a_sentence_with_the_command(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r'run: pip install "napari-m2aenet\[export\]"'):
        require_onnx()
