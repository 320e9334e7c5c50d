"""A threshold of 0.5 that is the best one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from m2aenet_core.calibrate import CalibrateConfig, best_threshold, calibrate, main, shift_threshold
from m2aenet_core.checkpoint import load_model, read_metadata, save_model
from m2aenet_core.deblurrer import Deblurrer
from m2aenet_core.errors import InputError
from m2aenet_core.models.m2aenet import M2AENet, M2AENetConfig
from m2aenet_core.models.nafnet import NAFNet

LAST_BIAS = "mask_predictors.3.decide.4.bias"


@pytest.fixture
def config(tiny_model: M2AENet, photo: np.ndarray, tmp_path: Path) -> CalibrateConfig:
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo[:100, :120]).save(tmp_path / "photos" / "a.png")
    Image.fromarray(photo[150:250, 200:330]).save(tmp_path / "photos" / "b.png")
    save_model(tiny_model, tmp_path / "tiny.safetensors", {"training": "of the summary"})
    return CalibrateConfig(
        data=str(tmp_path / "photos"),
        out=str(tmp_path / "calibrated.safetensors"),
        model=str(tmp_path / "tiny.safetensors"),
        path_px=(4.0, 8.0),
        area=(0.05, 0.3),
        samples=1,
        device="cpu",
    )


def test_the_best_threshold_parts_what_can_be_parted() -> None:
    blurred, sharp = np.array([[0, 0, 0, 5, 5]]), np.array([[8, 1, 3, 0, 0]])
    assert best_threshold(blurred, sharp) == (0.6, 1.0)


def test_the_best_threshold_weighs_what_is_missed_against_what_is_added() -> None:
    blurred, sharp = np.array([[0, 4, 0, 6]]), np.array([[90, 2, 8, 0]])
    # from the second bin on 10 of 20, from the third 6 of 18, from the last 6 of 10
    assert best_threshold(blurred, sharp) == (0.75, 0.6)


def test_every_photo_counts_alike() -> None:
    blurred, sharp = np.array([[0, 4, 6], [0, 1, 0]]), np.array([[5, 0, 0], [0, 0, 9]])
    # from the second bin on 10 of 10 and 1 of 10; from the last 6 of 10 and 0 of 10
    threshold, iou = best_threshold(blurred, sharp)
    assert threshold == pytest.approx(1 / 3)
    assert iou == pytest.approx(0.55)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_the_old_probability_at_the_threshold_becomes_a_half(tiny_model: M2AENet, threshold: float) -> None:
    def margin() -> torch.Tensor:
        with torch.no_grad():
            logits = tiny_model.analyze(image).blur_logits
        assert logits is not None
        return logits[:, 0] - logits[:, 1]

    image = torch.rand(1, 3, 64, 64)
    before = margin()
    shift_threshold(tiny_model, threshold)
    # the probability is the logistic function of the margin; at the threshold it becomes that of 0
    at_threshold = torch.logit(torch.tensor(threshold))
    torch.testing.assert_close(margin(), before - at_threshold, atol=1e-4, rtol=1e-4)


def test_every_predictor_of_a_network_that_decides_at_every_scale_is_shifted(
    config: CalibrateConfig, tmp_path: Path
) -> None:
    sizes = M2AENetConfig(width=4, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), scales="every")
    save_model(M2AENet(sizes), tmp_path / "every.safetensors")
    calibrate(replace(config, model=str(tmp_path / "every.safetensors")))
    before, after = load_file(tmp_path / "every.safetensors"), load_file(config.out)
    changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert changed == ["mask_predictors.0.decide.4.bias", "mask_predictors.1.decide.4.bias"]
    assert len({float(after[name][0] - before[name][0]) for name in changed}) == 1


@pytest.mark.parametrize("kind", ["NAFNet", "without a mask"])
def test_a_network_that_finds_no_blur_is_refused_before_any_work(
    config: CalibrateConfig, tmp_path: Path, kind: str
) -> None:
    sizes = M2AENetConfig(width=4, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), use_mask=False)
    model = NAFNet(4, (1, 1), 1, (1, 1)) if kind == "NAFNet" else M2AENet(sizes)
    save_model(model, tmp_path / "blind.safetensors")
    with pytest.raises(InputError, match="has no mask predictor to calibrate"):
        calibrate(replace(config, model=str(tmp_path / "blind.safetensors"), data="no such folder"))


def test_a_file_that_cannot_be_written_is_told_of_before_any_work(config: CalibrateConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is a folder of that name"):
        calibrate(replace(config, out=str(tmp_path), data="no such folder"))


def test_weights_that_exist_are_replaced_only_where_asked(config: CalibrateConfig) -> None:
    Path(config.out).write_bytes(b"older")
    with pytest.raises(InputError, match=r"calibrated\.safetensors exists; choose another name or allow overwriting"):
        calibrate(replace(config, data="no such folder"))
    assert Path(config.out).read_bytes() == b"older"
    calibrate(replace(config, overwrite=True))
    assert isinstance(load_model(config.out), M2AENet)


def test_nothing_but_one_bias_changes(config: CalibrateConfig) -> None:
    calibrate(config)
    before, after = load_file(config.model), load_file(config.out)
    assert [name for name, value in before.items() if not torch.equal(value, after[name])] == [LAST_BIAS]
    assert after[LAST_BIAS][1] == before[LAST_BIAS][1]


def test_the_best_threshold_becomes_a_half(config: CalibrateConfig, photo: np.ndarray) -> None:
    before, best = calibrate(config)
    assert best.iou >= before.iou
    old, new = (Deblurrer(path, device="cpu").analyze(photo[:96, :96]) for path in (config.model, config.out))
    # of the cells; between them, the mean of two probabilities is not the probability of the mean
    assert torch.equal(old.coarse_probability > best.threshold, new.coarse_probability > 0.5)
    again, rest = calibrate(replace(config, model=config.out, out=config.out + "2.safetensors"))
    assert again.iou == pytest.approx(best.iou, abs=0.02)
    assert rest.iou >= again.iou


def test_a_threshold_of_ones_own_becomes_a_half(config: CalibrateConfig, photo: np.ndarray) -> None:
    _, chosen = calibrate(replace(config, threshold=0.8))
    assert chosen.threshold == 0.8
    old, new = (Deblurrer(path, device="cpu").analyze(photo[:96, :96]) for path in (config.model, config.out))
    assert torch.equal(old.coarse_probability > 0.8, new.coarse_probability > 0.5)
    before, same = calibrate(replace(config, threshold=0.5, overwrite=True))
    assert before == same
    assert torch.equal(load_file(config.model)[LAST_BIAS], load_file(config.out)[LAST_BIAS])
    with pytest.raises(InputError, match="give a number between 0 and 1"):
        calibrate(replace(config, threshold=1.0))


def test_the_weights_are_calibrated_for_as_many_copies_as_they_say(config: CalibrateConfig, photo: np.ndarray) -> None:
    calibrate(config)
    alone = load_file(config.out)[LAST_BIAS]
    _, best = calibrate(replace(config, ensemble=4, overwrite=True))
    assert not torch.equal(load_file(config.out)[LAST_BIAS], alone)
    new = Deblurrer(config.out, device="cpu")
    assert new.ensemble == 4
    old = Deblurrer(config.model, device="cpu", ensemble=4)
    before, after = (each.analyze(photo[:96, :96]).coarse_probability for each in (old, new))
    assert torch.equal(before > best.threshold, after > 0.5)


def test_the_file_says_where_it_comes_from(config: CalibrateConfig) -> None:
    _, best = calibrate(config)
    metadata = read_metadata(config.out)
    assert metadata["training"] == "of the summary"
    assert float(metadata["calibrated_threshold"]) == pytest.approx(best.threshold, abs=1e-4)


def test_halves_are_written_where_asked(config: CalibrateConfig) -> None:
    calibrate(replace(config, half=True))
    assert {value.dtype for value in load_file(config.out).values()} == {torch.float16}
    assert isinstance(load_model(config.out), M2AENet)


def test_the_command_tells_both_overlaps(config: CalibrateConfig, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", config.data, "--out", config.out, "--model", config.model, "--device", "cpu"]
    assert main([*arguments, "--samples", "1", "--area", "[0.05, 0.3]"]) == 0
    assert f"which is 0.5 in {config.out}" in capsys.readouterr().out
