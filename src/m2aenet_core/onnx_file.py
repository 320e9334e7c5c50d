"""An ONNX file around a traced network: any image size, weights in halves, and what the file says about itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from m2aenet_core import __version__
from m2aenet_core.errors import InputError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

# what torch writes, and converts to
LOWEST_OPSET, HIGHEST_OPSET = 18, 23
STANDARD_DOMAINS = {"", "ai.onnx"}
PADDED = "padded_"
WRAPPER = "network."

# smaller ones (scales, shapes) are not worth a node
_HALVED_FROM = 256


class Port(NamedTuple):
    """An input or output. channels: of an image (N, channels, H, W), None for a single number."""

    name: str
    channels: int | None
    about: str


IMAGE = Port("image", 3, "(batch, 3, height, width) float32: red, green, blue from 0 (black) to 1 (white), any size")


def require_onnx() -> None:
    """Raise InputError unless the packages that write ONNX are installed."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401 - torch writes ONNX with it
    except ImportError as error:
        raise InputError('writing ONNX needs more packages; run: pip install "napari-m2aenet[export]"') from error


def framed(core: ModelProto, multiple: int, inputs: Sequence[Port], outputs: Sequence[Port]) -> ModelProto:
    """Give a network for images of any size, from one for multiples, which is used up.

    The core takes `padded_image`, the other inputs by their names, and gives `padded_<name>` for each output; its
    weights' names begin with WRAPPER. Zeros are added at the bottom and the right, and every output is cut to the
    image's size.
    """
    from onnx import helper, numpy_helper

    _tidy(core.graph)
    constants = {
        "frame.less_one": np.array([multiple - 1], np.int64),
        "frame.multiple": np.array([multiple], np.int64),
        "frame.before": np.zeros(6, np.int64),
        "frame.origin": np.zeros(2, np.int64),
        "frame.axes": np.array([2, 3], np.int64),
    }

    def node(kind: str, inputs: list[str], output: str, **settings: Any) -> NodeProto:
        return helper.make_node(kind, inputs, [output], name=f"{output}.{kind}", **settings)

    before = [
        node("Shape", [IMAGE.name], "frame.size", start=2, end=4),
        node("Add", ["frame.size", "frame.less_one"], "frame.reached"),
        node("Div", ["frame.reached", "frame.multiple"], "frame.cells"),
        node("Mul", ["frame.cells", "frame.multiple"], "frame.padded_size"),
        node("Sub", ["frame.padded_size", "frame.size"], "frame.after"),
        node("Concat", ["frame.before", "frame.after"], "frame.pads", axis=0),
        node("Pad", [IMAGE.name, "frame.pads"], PADDED + IMAGE.name),
    ]
    after = [
        node("Slice", [PADDED + port.name, "frame.origin", "frame.size", "frame.axes"], port.name) for port in outputs
    ]
    graph = helper.make_graph(
        [*before, *core.graph.node, *after],
        core.graph.name,
        [_value(port) for port in inputs],
        [_value(port) for port in outputs],
        initializer=[
            *core.graph.initializer,
            *(numpy_helper.from_array(values, name) for name, values in constants.items()),
        ],
    )
    # the lowest version of the format that these operators allow, so that older readers take it
    return helper.make_model(
        graph,
        opset_imports=core.opset_import,
        functions=core.functions,
        ir_version=helper.find_min_ir_version_for(core.opset_import),
    )


def _tidy(graph: GraphProto) -> None:
    """Call the weights what the network calls them, and drop what the tracer noted: files of the machine it ran on."""
    for part in (*graph.node, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.name = tensor.name.removeprefix(WRAPPER)
    for node in graph.node:
        node.input[:] = [name.removeprefix(WRAPPER) for name in node.input]


def _value(port: Port) -> ValueInfoProto:
    from onnx import TensorProto, helper

    shape: list[str | int] = [] if port.channels is None else ["batch", port.channels, "height", "width"]
    return helper.make_tensor_value_info(port.name, TensorProto.FLOAT, shape, port.about)


def store_halves(model: ModelProto) -> None:
    """Keep the weights that float16 holds exactly as float16; the network computes in float32 as before."""
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    kept, casts = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type == TensorProto.FLOAT and values.size >= _HALVED_FROM:
            half = values.astype(np.float16)
            if np.array_equal(half.astype(np.float32), values):
                stored = f"{tensor.name}.half"
                casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
                tensor = numpy_helper.from_array(half, stored)
        kept.append(tensor)
    nodes = [*casts, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def describe(
    model: ModelProto, about: str, metadata: Mapping[str, str], inputs: Sequence[Port], outputs: Sequence[Port]
) -> None:
    """Write into a model what it is, and what goes in and comes out."""
    from onnx import helper

    model.producer_name, model.producer_version = "m2aenet", __version__
    ports = {
        "inputs": json.dumps({port.name: port.about for port in inputs}),
        "outputs": json.dumps({port.name: port.about for port in outputs}),
    }
    helper.set_model_props(model, {**metadata, **ports})
    lines = [about, "", "Inputs:", *map(_line, inputs), "", "Outputs:", *map(_line, outputs)]
    model.doc_string = "\n".join(lines)


def _line(port: Port) -> str:
    return f"- {port.name}: {port.about}"


def check_standard(model: ModelProto) -> None:
    """Raise InputError unless a model is sound ONNX whose operators are all from the standard set."""
    import onnx

    strange = sorted({node.op_type for node in model.graph.node if node.domain not in STANDARD_DOMAINS})
    if strange or model.functions:
        names = ", ".join([*strange, *(function.name for function in model.functions)])
        raise InputError(f"this version of torch wrote operators that ONNX does not have ({names}); install another")
    onnx.checker.check_model(model, full_check=True)
