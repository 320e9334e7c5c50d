"""NAFNet on the runtimes that a user would reach for instead: ONNX Runtime and OpenVINO, in float32."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from m2aenet_core.errors import InputError

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_PACKAGES = {"onnxruntime": "onnxruntime", "openvino": "openvino"}


def rivals(names: tuple[str, ...], network: nn.Module, image: torch.Tensor) -> dict[str, Run]:
    """Give the network on each runtime, for images (1, 3, H, W) of the size of `image`.

    Raises InputError for runtimes that are unknown or not installed.
    """
    for name in names:
        if name not in _PACKAGES:
            raise InputError(f"there is no runtime {name!r}; choose some of {', '.join(_PACKAGES)}")
        if find_spec(_PACKAGES[name]) is None:
            raise InputError(f'{name} is not installed; type pip install "napari-m2aenet[rivals]"')
    if not names:
        return {}
    if find_spec("onnxscript") is None:
        raise InputError('torch needs onnxscript to write the network; type pip install "napari-m2aenet[rivals]"')
    makers: Mapping[str, Callable[[Path, int], Run]] = {"onnxruntime": _onnxruntime, "openvino": _openvino}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nafnet.onnx"
        torch.onnx.export(network, (image,), str(path), dynamo=True, verbose=False)
        return {name: makers[name](path, torch.get_num_threads()) for name in names}


def _onnxruntime(path: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (name,) = (each.name for each in session.get_inputs())

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        (out,) = session.run(None, {name: image})
        return np.asarray(out)

    return run


def _openvino(path: Path, threads: int) -> Run:
    import openvino

    # on processors with AMX it would compute in bfloat16 without being asked
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.compile_model(openvino.Core().read_model(path), "CPU", settings)

    def run(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(compiled(image)[0])

    return run
