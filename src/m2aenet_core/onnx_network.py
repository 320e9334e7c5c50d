"""A network traced into ONNX operators, with the outputs that a user of the file needs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from m2aenet_core.errors import InputError
from m2aenet_core.models.m2aenet import M2AENet
from m2aenet_core.models.mask_predictor import blur_probability
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import Network, as_output
from m2aenet_core.models.path import path_of_ends
from m2aenet_core.onnx_file import IMAGE, PADDED, Port, framed
from m2aenet_core.ops.padding import pad_to_multiple
from m2aenet_core.ops.resize import resize_image

if TYPE_CHECKING:
    from onnx import ModelProto

THRESHOLD = Port(
    "threshold", None, "float32, one number without dimensions: probability above which something counts as blurred"
)
RESTORED = Port("restored", 3, "(batch, 3, height, width) float32: the restored image, not clipped to 0..1")
PROBABILITY = Port(
    "blur_probability", 1, "(batch, 1, height, width) float32 in 0..1: probability that a pixel is blurred"
)
_FROM_MID_EXPOSURE = "(batch, 2, height, width) float32: displacement (y, x) in image pixels from mid-exposure to"
START = Port("start_displacement", 2, f"{_FROM_MID_EXPOSURE} the start of the exposure")
END = Port("end_displacement", 2, f"{_FROM_MID_EXPOSURE} the end of the exposure")

# in multiples of size_multiple; what is traced must not look like a special case, so no size appears twice
_TRACED_BATCH, _TRACED_ROWS, _TRACED_COLUMNS = 2, 3, 5


def check_exportable(network: Network) -> None:
    """Raise InputError for networks that cannot be written as ONNX."""
    if not isinstance(network, (M2AENet, NAFNet)):
        raise InputError(f"a {type(network).__name__} cannot be written as ONNX; give an M2AENet or a NAFNet")


def inputs_of(network: Network) -> list[Port]:
    """Give what the ONNX network takes."""
    return [IMAGE, THRESHOLD] if network.has_mask else [IMAGE]


def outputs_of(network: Network) -> list[Port]:
    """Give what the ONNX network gives, in order."""
    return [RESTORED, *([PROBABILITY] if network.has_mask else []), *([START, END] if network.has_motion else [])]


class FullSizeNetwork(nn.Module):
    """A network whose findings are at full size, as `outputs_of` lists them; it takes multiples of size_multiple."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network  # the name is WRAPPER's

    def forward(self, image: Tensor, threshold: Tensor | None = None) -> tuple[Tensor, ...]:
        """Evaluate densely; image (B, 3, H, W) and, for networks with a mask, a threshold without dimensions."""
        output = as_output(self.network(image) if threshold is None else self.network(image, threshold))
        size = (image.shape[-2], image.shape[-1])
        outputs = [output.restored]
        if output.blur_logits:
            outputs.append(resize_image(self._cell_probability(output.blur_logits, size), size))
        if output.displacements:
            motion = output.displacements[-1].resized(size)
            outputs += [motion.start, motion.end]
        return tuple(outputs)

    def _cell_probability(self, logits: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Give the mean over the scales, as the analysis does, (B, 1, h, w) for the network's cells."""
        cell = self.network.cell_px
        cells = (size[0] // cell, size[1] // cell)
        return torch.stack([resize_image(blur_probability(each), cells) for each in logits]).mean(dim=0)


def comparable(network: Network, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give outputs as two computations of them are compared.

    Where a network knows no direction of time, rounding may exchange start and end: their path takes their place.
    """
    if not (isinstance(network, M2AENet) and network.has_motion and network.config.motion_output == "path"):
        return outputs
    rest = {name: values for name, values in outputs.items() if name not in (START.name, END.name)}
    return {**rest, "path": path_of_ends(outputs[START.name], outputs[END.name])}


def full_size_outputs(network: Network, image: Tensor, threshold: float | None) -> dict[str, Tensor]:
    """Give what the ONNX network is to give for an image of any size, computed by torch."""
    height, width = image.shape[-2:]
    padded = pad_to_multiple(image, network.size_multiple)
    limit = [] if threshold is None else [torch.tensor(threshold)]
    with torch.no_grad():
        outputs = FullSizeNetwork(network).eval()(padded, *limit)
    names = [port.name for port in outputs_of(network)]
    return {name: values[..., :height, :width] for name, values in zip(names, outputs, strict=True)}


def traced(network: Network, opset: int) -> ModelProto:
    """Give a network on the CPU, in evaluation mode, as an ONNX model for images of any number and size."""
    multiple, inputs, outputs = network.size_multiple, inputs_of(network), outputs_of(network)
    sample = torch.rand(_TRACED_BATCH, 3, _TRACED_ROWS * multiple, _TRACED_COLUMNS * multiple)
    # only sizes that need no padding are traced: a tracer cannot follow a choice by the size
    dim = torch.export.Dim
    free = {0: dim("batch"), 2: multiple * dim("rows"), 3: multiple * dim("columns")}
    limit = [torch.tensor(0.5)] if network.has_mask else []
    with _quiet(), torch.no_grad():
        program = torch.export.export(
            FullSizeNetwork(network).eval(), (sample, *limit), dynamic_shapes=(free, *([{}] * len(limit)))
        )
        onnx_program = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=opset,
            verbose=False,
            input_names=[PADDED + IMAGE.name, *(port.name for port in inputs[1:])],
            output_names=[PADDED + port.name for port in outputs],
        )
    assert onnx_program is not None
    core = onnx_program.model_proto
    core.graph.name = type(network).__name__
    return framed(core, multiple, inputs, outputs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what torch says about itself: torchvision is not needed, and what it deprecates it uses itself."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)
