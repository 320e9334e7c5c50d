"""Write a network as ONNX: `m2aenet export model.onnx`.

The file takes images of any number and size, and the threshold; it holds standard operators alone, and says what goes
in and comes out. Before it is written it is run in ONNX Runtime, where that is installed, beside the network itself.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import hashlib
import importlib.util
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from m2aenet_core import __version__
from m2aenet_core.atomic import require_free, require_writable, write_atomic
from m2aenet_core.cli import run_command
from m2aenet_core.errors import InputError
from m2aenet_core.onnx_file import (
    HIGHEST_OPSET,
    LOWEST_OPSET,
    check_standard,
    describe,
    require_onnx,
    store_halves,
)

if TYPE_CHECKING:
    from torch import Tensor

    from m2aenet_core.models.network import Network

TOLERANCE = 1e-4

_OPSETS = f"{LOWEST_OPSET} to {HIGHEST_OPSET} (default: {LOWEST_OPSET}, which the most runtimes take)"

# batch, height, width: the smallest, and sizes that need padding
_CHECKED_SIZES = ((1, 1, 1), (2, 33, 50), (1, 97, 130))
# farther from the threshold than rounding carries a probability
_MARGIN = 1e-5


class Exported(NamedTuple):
    """What was written: the file's bytes, and the largest difference from the network, None where it was not run."""

    size_bytes: int
    difference: float | None


def export_onnx(
    model: Network | str | Path,
    path: str | Path,
    *,
    opset: int = LOWEST_OPSET,
    half: bool = False,
    verify: bool | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a network as an ONNX file, whole or not at all.

    model: an M2AENet or a NAFNet, embedded weights by name, or a .safetensors file. opset: the version of ONNX's
    operators, 18 to 23. half: store the weights as float16, half the size; it computes in float32. verify: run the
    file in ONNX Runtime and write it only if it gives what the network gives, up to 1e-4 (of the largest value, where
    that is above 1); by default if ONNX Runtime is installed. overwrite: replace a file that exists.

    Raises InputError for other networks, missing packages, paths that do not end in .onnx, exist or cannot be written.
    """
    path = Path(path)
    _check_request(path, opset, verify, overwrite)
    from m2aenet_core.onnx_network import check_exportable, inputs_of, outputs_of, traced

    source, metadata = _loaded(model)
    check_exportable(source)
    network = _on_cpu(source, half)
    exported = traced(network, opset)
    describe(exported, _about(network), metadata, inputs_of(network), outputs_of(network))
    if half:
        store_halves(exported)
    check_standard(exported)
    content = exported.SerializeToString(deterministic=True)
    difference = largest_difference(network, content) if _runs(verify) else None
    if difference is not None and not difference <= TOLERANCE:  # NaN too
        raise InputError(
            f"the ONNX network differs from the network itself by up to {difference:.1e}, so {path} was not written; "
            "--no-verify writes it all the same"
        )
    write_atomic(path, content)
    return Exported(len(content), difference)


def _check_request(path: Path, opset: int, verify: bool | None, overwrite: bool) -> None:
    if path.suffix != ".onnx":
        raise InputError(f"{path} does not end in .onnx; give the file to write, such as model.onnx")
    if not LOWEST_OPSET <= opset <= HIGHEST_OPSET:
        raise InputError(f"opset {opset} cannot be written; give one from {LOWEST_OPSET} to {HIGHEST_OPSET}")
    if verify and not _has_runtime():
        raise InputError("ONNX Runtime is not installed; run: pip install onnxruntime, or give --no-verify")
    require_onnx()
    require_writable(path)
    require_free(path, overwrite=overwrite)


def _has_runtime() -> bool:
    return importlib.util.find_spec("onnxruntime") is not None


def _runs(verify: bool | None) -> bool:
    return _has_runtime() if verify is None else verify


def _loaded(model: Network | str | Path) -> tuple[Network, dict[str, str]]:
    """Give the network, and what the file is to say about where it comes from."""
    from safetensors.torch import save

    from m2aenet_core.checkpoint import load_model, read_metadata, released, sha256, weights_path

    kept: dict[str, str] = {}
    if isinstance(model, (str, Path)):
        network, weights = load_model(model), weights_path(model)
        checksum = sha256(weights)
        if released(model) is None:
            kept = read_metadata(weights)
    else:
        network = model
        state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
        checksum = hashlib.sha256(save(state)).hexdigest()
    return network, kept | {
        "model": type(network).__name__,
        "config": json.dumps(dataclasses.asdict(network.config)),
        "version": __version__,
        "weights_sha256": checksum,
    }


def _on_cpu(network: Network, half: bool) -> Network:
    """Give a copy to trace: float32 on the CPU, in evaluation mode, its weights rounded to float16 if asked for."""
    import torch

    fresh = copy.deepcopy(network).cpu().eval()
    if half:
        fresh = fresh.half()
    return fresh.float().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def _about(network: Network) -> str:
    lines = [f"{type(network).__name__} of napari-m2aenet {__version__}: removes local motion blur."]
    if network.has_mask:
        cell = network.cell_px
        where = f"cells of {cell} x {cell} pixels" if cell > 1 else "pixels"
        lines += [
            f"It decides for {where} at the scale of its features whether they are blurred: where the probability is "
            "above the threshold. blur_probability is what it decided on, interpolated between the cells.",
            f"The usual threshold is {network.config.threshold:g}.",
        ]
    if network.has_motion:
        lines.append(f"Between start, mid-exposure and end the trajectory is {network.config.trajectory}.")
    return " ".join(lines)


# -- the file beside the network ------------------------------------------------------------------------------------


def largest_difference(network: Network, content: bytes) -> float:
    """Give the largest difference between an ONNX network in ONNX Runtime and the network itself.

    Outputs whose values exceed 1 count relative to the largest. Images of three sizes; nothing, everything and about
    half of each counts as blurred.
    """
    import numpy as np
    import onnxruntime
    import torch

    from m2aenet_core.onnx_network import comparable, full_size_outputs

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for batch, height, width in _CHECKED_SIZES:
        image = torch.rand(batch, 3, height, width, generator=generator)
        for threshold in _checked_thresholds(network, image):
            feed = {"image": image.numpy()}
            if threshold is not None:
                feed["threshold"] = np.array(threshold, np.float32)
            expected = comparable(network, full_size_outputs(network, image, threshold))
            computed = dict(zip(names, map(torch.from_numpy, session.run(names, feed)), strict=True))
            for name, values in comparable(network, computed).items():
                scale = max(1.0, float(expected[name].abs().max()))
                difference = (values - expected[name]).abs().max()
                worst = float(np.maximum(worst, difference.numpy() / scale))  # NaN stays
    return worst


def _checked_thresholds(network: Network, image: Tensor) -> Iterator[float | None]:
    if not network.has_mask:
        yield None
        return
    yield 0.0
    yield from clear_thresholds(network, image)
    yield 1.0


def clear_thresholds(network: Network, image: Tensor) -> list[float]:
    """Give a threshold amid the blur probabilities of an image, but close to none; empty where there is none.

    What rounding moves across the threshold changes whole pixels, and would hide what is to be compared.
    """
    values = sorted(_probabilities(network, image, 0.5))
    middle = values[len(values) // 4 : len(values) - len(values) // 4 + 1]
    gaps = sorted(itertools.pairwise(middle), key=lambda pair: pair[0] - pair[1])
    candidates = [(low + high) / 2 for low, high in gaps[:8]]
    # later decisions depend on earlier ones, so each has to be tried
    margins = {
        limit: min(abs(value - limit) for value in _probabilities(network, image, limit)) for limit in candidates
    }
    best = max(margins, key=lambda limit: margins[limit], default=None)
    return [best] if best is not None and margins[best] > _MARGIN else []


def _probabilities(network: Network, image: Tensor, threshold: float) -> list[float]:
    """Give the blur probability of every cell of every scale."""
    import torch

    from m2aenet_core.models.mask_predictor import blur_probability

    with torch.no_grad():
        logits = network(image, threshold).blur_logits
    return [value for each in logits for value in blur_probability(each).flatten().tolist()]


# -- the command ----------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Run `m2aenet export` with these arguments; 0 if the file was written."""
    return run_command(lambda: _export(_parser().parse_args(argv)))


def _export(options: argparse.Namespace) -> None:
    _check_request(options.out, options.opset, options.verify, options.overwrite)
    print(f"tracing {options.model}; this takes a minute, and several for a large network", flush=True)
    exported = export_onnx(
        options.model,
        options.out,
        opset=options.opset,
        half=options.half,
        verify=options.verify,
        overwrite=options.overwrite,
    )
    if exported.difference is None:
        found = "it was not compared with the network"
        if options.verify is None:
            found += ": ONNX Runtime is not installed (pip install onnxruntime)"
    else:
        found = f"in ONNX Runtime it differs from the network by {exported.difference:.1e} at most"
    print(f"{options.out}: {exported.size_bytes / 1e6:.1f} MB, opset {options.opset}; {found}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="m2aenet export",
        description="Write a network as ONNX: standard operators alone, images of any size, the threshold as an input.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("out", type=Path, metavar="OUT.onnx", help="the file to write")
    add("--model", default="default", help="name of embedded weights or a .safetensors file (default: default)")
    add("--opset", type=int, default=LOWEST_OPSET, metavar="N", help=f"version of ONNX's operators, {_OPSETS}")
    add("--half", action="store_true", help="store the weights as float16, half the size; it computes in float32")
    add("--overwrite", action="store_true", help="replace the file if it exists")
    add(
        "--verify",
        action=argparse.BooleanOptionalAction,
        help="compare it with the network in ONNX Runtime before it is written (default: if that is installed)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
