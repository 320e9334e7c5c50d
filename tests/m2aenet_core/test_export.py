"""Networks written as ONNX, run in ONNX Runtime beside themselves."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from torch import Tensor, nn

import m2aenet_core
from m2aenet_core.checkpoint import load_model, save_model, sha256, weights_path
from m2aenet_core.errors import InputError
from m2aenet_core.export import TOLERANCE, clear_thresholds, export_onnx, largest_difference, main
from m2aenet_core.models.lmdvit import LMDViT, LMDViTConfig
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.mask_predictor import blur_probability
from m2aenet_core.models.nafnet import NAFNet
from m2aenet_core.models.network import Network, as_output
from m2aenet_core.onnx_network import comparable
from m2aenet_core.ops.padding import pad_to_multiple
from m2aenet_core.ops.resize import resize_displacement, resize_image

Array = NDArray[np.float32]
Randomise = Callable[[nn.Module], None]

SIZES = [(1, 1, 1), (3, 3, 2), (1, 16, 8), (2, 33, 54), (1, 64, 31)]
FORMS: dict[str, dict[str, Any]] = {
    "local attention": {"attention": "local"},
    "fourth": {},
    "masked everywhere": {"mask_positions": (1, 2, 3), "predictor": "dynamicvit"},
    "without mask": {"use_mask": False, "trajectory": "linear"},
    "without motion": {"use_motion": False, "mask_positions": (2,)},
    "without both": {"use_mask": False, "use_motion": False},
    "learnable": {"trajectory": "learnable", "taps": 25, "mask_positions": (3,)},
    "every": {"scales": "every", "predictor": "dynamicvit"},
    "every without mask": {"scales": "every", "use_mask": False, "trajectory": "learnable"},
    "every without motion": {"scales": "every", "use_motion": False, "mask_positions": (1, 3)},
}
TWO_SCALES: dict[str, Any] = {
    "width": 4,
    "encoder_blocks": (1, 2),
    "middle_blocks": 1,
    "decoder_blocks": (1, 1),
}


def session_of(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(session: onnxruntime.InferenceSession, image: Tensor, threshold: float | None = None) -> dict[str, Array]:
    feed = {"image": image.numpy()}
    if threshold is not None:
        feed["threshold"] = np.array(threshold, np.float32)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def lively(network: Network, randomise: Randomise) -> Network:
    """Give a network with random parameters that calls about half of noise blurred, and changes images by little."""
    randomise(network)
    assert isinstance(network, (M2AENet, NAFNet))
    with torch.no_grad():
        network.ending.weight.mul_(0.05)
        network.ending.bias.mul_(0.05)
        if isinstance(network, M2AENet):
            image = torch.rand(1, 3, 64, 64)
            for scale, predictor in network.mask_predictors.items():
                predictor.decide[-1].weight.mul_(30)  # type: ignore[index, union-attr]
                place = list(network.guided_scales).index(int(scale))
                blurred, sharp = network.eval()(image).blur_logits[place].unbind(dim=1)
                predictor.decide[-1].bias[0] -= (blurred - sharp).median()  # type: ignore[index, union-attr]
    return network.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture
def nafnet(randomise: Randomise) -> Network:
    return lively(NAFNet(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,)), randomise)


# -- the same numbers -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("form", [*FORMS, "nafnet"])
def test_every_form_gives_in_onnx_runtime_what_it_gives_in_torch(
    form: str, randomise: Randomise, tmp_path: Path
) -> None:
    network = NAFNet(**TWO_SCALES) if form == "nafnet" else M2AENet(M2AENetConfig(**TWO_SCALES, **FORMS[form]))
    lively(network, randomise)
    path = tmp_path / "network.onnx"
    exported = export_onnx(network, path)
    assert exported.difference is not None
    assert exported.difference < TOLERANCE
    session, cut_somewhere = session_of(path), False
    for batch, height, width in SIZES:
        image = torch.rand(batch, 3, height, width)
        thresholds = [0.0, *clear_thresholds(network, image), 1.0] if network.has_mask else [None]
        for threshold in thresholds:
            expected, masks = in_torch(network, image, threshold)
            cut_somewhere |= any(0 < float(mask.mean()) < 1 for mask in masks)
            outputs = run(session, image, threshold)
            assert outputs.keys() == expected.keys()
            for name, values in outputs.items():
                scale = max(1.0, float(expected[name].abs().max()))
                np.testing.assert_allclose(values, expected[name], rtol=0, atol=TOLERANCE * scale, err_msg=name)
    assert cut_somewhere == network.has_mask


def in_torch(network: Network, image: Tensor, threshold: float | None) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
    """Give what the network itself makes of an image of any size, its findings at full size, and its masks."""
    height, width = image.shape[-2:]
    with torch.no_grad():
        output = as_output(network(image) if threshold is None else network(image, threshold))
    size = tuple(pad_to_multiple(image, network.size_multiple).shape[-2:])
    expected = {"restored": output.restored}
    if network.has_mask:
        cells = (size[0] // network.cell_px, size[1] // network.cell_px)
        found = [resize_image(blur_probability(logits), cells) for logits in output.blur_logits]
        expected["blur_probability"] = resize_image(sum(found) / len(found), size)  # type: ignore[arg-type]
    if network.has_motion:
        motion = output.displacements[-1].map(lambda field: resize_displacement(field, size))  # type: ignore[arg-type]
        expected |= {"start_displacement": motion.start, "end_displacement": motion.end}
    return {name: values[..., :height, :width] for name, values in expected.items()}, output.masks


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default weights as `model.onnx`, in halves, alone in a folder."""
    path = tmp_path_factory.mktemp("embedded") / "model.onnx"
    exported = export_onnx("default", path, half=True)
    assert exported.size_bytes == path.stat().st_size
    assert exported.difference is not None
    assert exported.difference < TOLERANCE
    return path


@pytest.mark.slow
def test_the_embedded_weights_stay_as_small_as_they_are(embedded: Path) -> None:
    assert embedded.stat().st_size < 1.2 * weights_path("default").stat().st_size


@pytest.mark.slow
def test_the_embedded_weights_give_what_the_deblurrer_gives(embedded: Path, photo: np.ndarray) -> None:
    # a size that needs no padding, where the two differ in what they pad with
    cut = photo[:128, :208]
    # the file holds the network, which sees one copy
    analysis = m2aenet_core.Deblurrer("default", ensemble=1).analyze(cut)
    image = torch.from_numpy(cut.copy()).permute(2, 0, 1).unsqueeze(0) / 255
    outputs = run(session_of(embedded), image, 0.5)
    np.testing.assert_allclose(outputs["blur_probability"][0, 0], analysis.blur_probability, atol=TOLERANCE)
    network = load_model("default")
    names = ("start_displacement", "end_displacement")
    given = {name: torch.from_numpy(getattr(analysis, name).transpose(2, 0, 1)[None]) for name in names}
    found = comparable(network, given)
    computed = comparable(network, {name: torch.as_tensor(outputs[name]) for name in names})
    for name, values in found.items():
        # pixels, of which there are tens where the others go up to 1
        torch.testing.assert_close(computed[name], values, atol=10 * TOLERANCE, rtol=TOLERANCE)
    with torch.no_grad():
        expected = network(image, 0.5).restored
    np.testing.assert_allclose(outputs["restored"], expected, atol=TOLERANCE, rtol=0)


@pytest.mark.slow
def test_the_example_of_the_documentation_runs(
    embedded: Path, root: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (root / "docs" / "command_line.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(import[^`]*onnxruntime.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(embedded.parent)
    iio.imwrite("photo.jpg", uniform_filter1d(photo[:90, 100:275], 21, axis=1))
    exec(compile(example, "the example", "exec"), {})
    restored, shown = iio.imread("restored.png"), iio.imread("photo.jpg")
    assert restored.shape == shown.shape
    assert 0 < np.abs(restored.astype(int) - shown).mean() < 10


@pytest.mark.slow
@pytest.mark.parametrize("opset", [20, 23])
def test_newer_operators_give_the_same(opset: int, randomise: Randomise, tmp_path: Path) -> None:
    network = lively(M2AENet(M2AENetConfig(**TWO_SCALES)), randomise)
    path = tmp_path / "network.onnx"
    exported = export_onnx(network, path, opset=opset)
    assert [(entry.domain, entry.version) for entry in onnx.load(path).opset_import] == [("", opset)]
    assert exported.difference is not None
    assert exported.difference < TOLERANCE


@pytest.mark.slow
def test_a_difference_is_found(nafnet: Network, tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    assert export_onnx(nafnet, path, verify=False).difference is None
    assert largest_difference(nafnet, path.read_bytes()) < 1e-5
    with torch.no_grad():
        nafnet.ending.bias += 0.01  # type: ignore[union-attr, operator]
    assert largest_difference(nafnet, path.read_bytes()) == pytest.approx(0.01, rel=0.1)


def test_a_clear_threshold_cuts_the_probabilities_far_from_all(randomise: Randomise) -> None:
    network = lively(M2AENet(M2AENetConfig(**TWO_SCALES, **FORMS["every"])), randomise)
    image = torch.rand(1, 3, 48, 40)
    (threshold,) = clear_thresholds(network, image)
    with torch.no_grad():
        probabilities = [blur_probability(logits) for logits in network(image, threshold).blur_logits]
    assert min(float((each - threshold).abs().min()) for each in probabilities) > 1e-5
    assert any(0.2 < float((each > threshold).float().mean()) < 0.8 for each in probabilities)


def test_where_everything_is_certain_there_is_no_clear_threshold(randomise: Randomise) -> None:
    network = lively(M2AENet(M2AENetConfig(**TWO_SCALES)), randomise)
    with torch.no_grad():
        network.mask_predictors["1"].decide[-1].bias[0] = 1e4  # type: ignore[union-attr, index]
    assert clear_thresholds(network, torch.rand(1, 3, 16, 16)) == []


# -- the file ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(folder: Path) -> Path:
    """A network with a mask and motion, and its weights file."""
    torch.manual_seed(0)
    network = M2AENet(M2AENetConfig(**TWO_SCALES, threshold=0.25)).train()
    weights = folder / "weights.safetensors"
    save_model(network, weights, {"training": "of the summary"})
    export_onnx(weights, folder / "written.onnx", verify=False)
    return folder / "written.onnx"


@pytest.mark.slow
def test_all_operators_are_of_the_standard_set(written: Path) -> None:
    model = onnx.load(written)
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    assert not model.functions
    assert {"If", "Loop", "Scan"}.isdisjoint(node.op_type for node in model.graph.node)


@pytest.mark.slow
def test_batch_height_and_width_are_free(written: Path) -> None:
    session = session_of(written)
    free = ["batch", "height", "width"]
    image, threshold = session.get_inputs()
    assert (image.name, image.shape, image.type) == ("image", [free[0], 3, *free[1:]], "tensor(float)")
    assert (threshold.name, threshold.shape, threshold.type) == ("threshold", [], "tensor(float)")
    shapes = {output.name: output.shape for output in session.get_outputs()}
    assert shapes == {
        "restored": [free[0], 3, *free[1:]],
        "blur_probability": [free[0], 1, *free[1:]],
        "start_displacement": [free[0], 2, *free[1:]],
        "end_displacement": [free[0], 2, *free[1:]],
    }


@pytest.mark.slow
def test_the_file_says_what_it_is_and_how_to_use_it(written: Path) -> None:
    about = session_of(written).get_modelmeta()
    metadata = about.custom_metadata_map
    assert about.producer_name == "m2aenet"
    assert metadata["model"] == about.graph_name == "M2AENet"
    assert metadata["version"] == m2aenet_core.__version__
    assert metadata["weights_sha256"] == sha256(written.with_name("weights.safetensors"))
    assert metadata["training"] == "of the summary"
    assert json.loads(metadata["config"])["width"] == 4
    assert "(y, x) in image pixels from mid-exposure" in json.loads(metadata["outputs"])["start_displacement"]
    assert "cells of 2 x 2 pixels" in about.description
    assert "The usual threshold is 0.25." in about.description
    assert "the trajectory is quadratic" in about.description


@pytest.mark.slow
def test_weights_keep_their_names_and_nothing_of_the_machine_is_inside(written: Path) -> None:
    names = {tensor.name for tensor in onnx.load(written).graph.initializer}
    assert {"intro.weight", "encoders.1.1.depthwise.weight"} <= names
    content = written.read_bytes()
    assert b".py" not in content
    assert str(Path(m2aenet_core.__file__).parent).encode() not in content


@pytest.mark.slow
def test_the_same_network_gives_the_same_file(nafnet: Network, tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_onnx(nafnet, tmp_path / f"{name}.onnx", verify=False)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


@pytest.mark.slow
def test_the_network_stays_as_it_was(nafnet: Network, tmp_path: Path) -> None:
    nafnet.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = {name: value.clone() for name, value in nafnet.state_dict().items()}
    exported = export_onnx(nafnet, tmp_path / "network.onnx", half=True)
    assert exported.difference is not None
    assert exported.difference < TOLERANCE
    assert nafnet.training
    assert all(torch.equal(value, before[name]) for name, value in nafnet.state_dict().items())


# -- the command, and what can be wrong -------------------------------------------------------------------------------


def test_the_command_writes_a_file_and_says_how_far_it_is_off(
    nafnet: Network, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    weights, path = tmp_path / "nafnet.safetensors", tmp_path / "new" / "nafnet.onnx"
    save_model(nafnet, weights)
    assert main([str(path), "--model", str(weights)]) == 0
    out, err = capfd.readouterr()
    assert re.search(r"nafnet\.onnx: 0\.\d MB, opset 18; in ONNX Runtime it differs .* by \d\.\de-0\d at most\n$", out)
    assert err == ""
    image = torch.rand(1, 3, 9, 6)
    with torch.no_grad():
        np.testing.assert_allclose(run(session_of(path), image)["restored"], nafnet(image), atol=1e-5)


@pytest.mark.slow
def test_without_the_runtime_the_file_is_written_and_the_command_says_so(
    nafnet: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("m2aenet_core.export._has_runtime", lambda: False)
    weights, path = tmp_path / "nafnet.safetensors", tmp_path / "nafnet.onnx"
    save_model(nafnet, weights)
    assert main([str(path), "--model", str(weights)]) == 0
    assert "not compared with the network: ONNX Runtime is not installed (pip install" in capsys.readouterr().out
    assert path.is_file()
    with pytest.raises(InputError, match=r"ONNX Runtime is not installed; run: pip install onnxruntime"):
        export_onnx(nafnet, path, verify=True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["photo.safetensors"], "photo.safetensors does not end in .onnx; give the file to write, such as model.onnx"),
        (["a.onnx", "--opset", "12"], "opset 12 cannot be written; give one from 18 to 23"),
        (["a.onnx", "--model", "huge"], "there are no weights called huge; give one of default"),
    ],
)
def test_what_cannot_be_done_gets_a_sentence_and_no_file(
    words: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    assert f"error: {sentence}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_get_a_sentence_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert main([str(tmp_path / "a.onnx")]) == 1
    assert capsys.readouterr().err.endswith('run: pip install "napari-m2aenet[export]"\n')


def test_networks_that_cannot_be_written_get_a_sentence(tmp_path: Path) -> None:
    network = LMDViT(LMDViTConfig(width=4, depths=(1, 1, 1), heads=(1, 1, 1)))
    with pytest.raises(InputError, match="a LMDViT cannot be written as ONNX; give an M2AENet or a NAFNet"):
        export_onnx(network, tmp_path / "a.onnx")


@pytest.mark.slow
def test_a_file_that_differs_is_not_written(nafnet: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"older")
    monkeypatch.setattr("m2aenet_core.export.TOLERANCE", -1.0)
    with pytest.raises(InputError, match=r"differs from the network itself by up to .*a\.onnx was not written; --no-v"):
        export_onnx(nafnet, path, overwrite=True)
    assert path.read_bytes() == b"older"


def test_a_file_that_exists_stays_as_it_is(nafnet: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"older")
    with pytest.raises(InputError, match=r"a\.onnx exists; choose another name or allow overwriting"):
        export_onnx(nafnet, path)
    assert main([str(path), "--model", "small"]) == 1
    assert path.read_bytes() == b"older"
    assert "tracing" not in capsys.readouterr().out


def test_a_path_that_cannot_be_written_gets_a_sentence_before_any_work(nafnet: Network, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.onnx was not written because"):
        export_onnx(nafnet, tmp_path / "file" / "a.onnx", verify=False)
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(InputError, match=r"folder\.onnx was not written because there is a folder of that name"):
        export_onnx(nafnet, tmp_path / "folder.onnx", verify=False)
