"""Noise, tone, sharpening and compression."""

import math

import pytest
import torch
from torch import Tensor

from m2aenet_core.data.camera_response import Developed, develop
from m2aenet_core.data.draws import JpegDraw, NoiseDraw, ToneDraw
from m2aenet_core.ops.jpeg import compress_as_jpeg
from m2aenet_core.ops.light import to_linear, to_srgb

QUIET = NoiseDraw(0.0, 0, None)
PLAIN = ToneDraw((1.0, 1.0, 1.0), 1.0, 0.0, 1.0, 0.0, 1.0)


def texture(seed: int = 0, batch: int = 1, side: int = 40) -> Tensor:
    return to_linear(torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(seed)))


def developed(
    light: Tensor,
    noise: NoiseDraw = QUIET,
    tone: ToneDraw | None = None,
    jpeg: JpegDraw | None = None,
    softness_px: float = 0.0,
) -> Developed:
    return develop(light, light, [softness_px], [noise], [tone], [jpeg])


def grey(level: float, side: int = 128) -> Tensor:
    return torch.full((1, 3, side, side), level)


def test_plain_light_comes_back_as_its_srgb_levels() -> None:
    blur, sharp = developed(texture())
    torch.testing.assert_close(blur, to_srgb(texture()), atol=0.51 / 255, rtol=0)
    assert torch.equal(blur, sharp)
    torch.testing.assert_close((blur * 255).round() / 255, blur)


@pytest.mark.parametrize("tone", [None, ToneDraw((1.2, 1.1, 0.9), 1.1, 0.3, 1.2, 0.8, 1.0)])
@pytest.mark.parametrize("noise", [NoiseDraw(0.03, 5, None), NoiseDraw(0.03, 5, 0.2)])
def test_what_is_equal_in_blur_and_sharp_light_is_equal_in_the_photos(noise: NoiseDraw, tone: ToneDraw | None) -> None:
    light, other = texture(0), texture(1)
    light[..., 20:], other[..., 20:] = 0.3, 0.3
    blur, sharp = develop(light, other, [0.0], [noise], [tone], [None])
    # but for the reach of the sharpening
    assert torch.equal(blur[..., 26:], sharp[..., 26:])
    assert not torch.equal(blur[..., :20], sharp[..., :20])


@pytest.mark.parametrize("read", [None, 0.05, 0.4])
def test_noise_is_as_strong_as_asked_at_mid_grey(read: float | None) -> None:
    mid = to_linear(torch.tensor(0.5)).item()
    photo = developed(grey(mid), NoiseDraw(0.02, 3, read)).blur
    assert photo.std().item() == pytest.approx(0.02, rel=0.05)
    assert photo.mean().item() == pytest.approx(0.5, abs=0.002)


def test_shot_noise_grows_with_the_light_and_read_noise_does_not() -> None:
    def deviations(read: float) -> list[float]:
        return [to_linear(developed(grey(level), NoiseDraw(0.02, 3, read)).blur).std().item() for level in (0.1, 0.4)]

    dark, bright = deviations(0.0)
    assert bright / dark == pytest.approx(2.0, rel=0.1)
    dark, bright = deviations(1.0)
    assert bright / dark == pytest.approx(1.0, rel=0.1)


def test_the_seed_decides_the_noise_whatever_the_batch() -> None:
    noises = [NoiseDraw(0.02, 7, None), NoiseDraw(0.02, 8, 0.1), QUIET]
    light = texture(batch=3)
    together = develop(light, light, [0.0] * 3, noises, [None] * 3, [None] * 3).blur
    for row, noise in enumerate(noises):
        assert torch.equal(together[row : row + 1], developed(light[row : row + 1], noise).blur)
    assert not torch.equal(together[0], developed(light[:1], noises[0]._replace(seed=9)).blur[0])


def test_a_neutral_tone_changes_nothing() -> None:
    assert torch.equal(developed(texture(), tone=PLAIN).blur, developed(texture()).blur)


@pytest.mark.parametrize(
    ("change", "effect"),
    [
        ({"gains": (2.0, 2.0, 2.0)}, lambda photo: photo.mean()),
        ({"gamma": 0.8}, lambda photo: photo.mean()),
        ({"gains": (1.2, 1.0, 1.0)}, lambda photo: photo[:, 0].mean() - photo[:, 2].mean()),
        ({"contrast": 0.5}, lambda photo: photo.std()),
        ({"saturation": 1.3}, lambda photo: photo.std(dim=1).mean()),
        ({"sharpening": 1.0}, lambda photo: photo.diff(dim=-1).abs().mean()),
    ],
)
def test_each_part_of_the_tone_does_its_own(change: dict[str, object], effect: object) -> None:
    light = 0.1 + 0.4 * texture()
    before, after = developed(light, tone=PLAIN).blur, developed(light, tone=PLAIN._replace(**change)).blur
    assert effect(after) > effect(before) + 0.005


def test_sharpening_overshoots_at_an_edge_and_nowhere_else() -> None:
    edge = grey(0.2)
    edge[..., 64:] = 0.4
    photo = developed(edge, tone=PLAIN._replace(sharpening=1.0)).blur
    assert photo[..., 64].min() > photo[..., 90].max()
    assert photo[..., 63].max() < photo[..., 40].min()
    torch.testing.assert_close(photo[..., :58], developed(edge).blur[..., :58])


def test_only_the_blurred_photo_is_compressed() -> None:
    blur, sharp = developed(texture(), jpeg=JpegDraw(60, halve_colour=True))
    plain = developed(texture()).sharp
    assert torch.equal(sharp, plain)
    assert torch.equal(blur, compress_as_jpeg(plain, [60], halve_colour=True))


def test_each_sample_is_compressed_in_its_own_way() -> None:
    light = texture(batch=3)
    jpegs = [JpegDraw(50, halve_colour=True), None, JpegDraw(90, halve_colour=False)]
    together = develop(light, light, [0.0] * 3, [QUIET] * 3, [None] * 3, jpegs).blur
    for row, jpeg in enumerate(jpegs):
        torch.testing.assert_close(together[row : row + 1], developed(light[row : row + 1], jpeg=jpeg).blur)


def test_softness_is_a_gaussian_of_linear_light() -> None:
    edge = grey(0.0)
    edge[..., 64:] = 1.0
    photo = to_linear(developed(edge, softness_px=0.8).blur)[0, 0, 60]
    for offset in (0, 1, 2):
        expected = 0.5 * (1 + math.erf((offset + 0.5) / 0.8 / math.sqrt(2)))
        assert photo[64 + offset].item() == pytest.approx(expected, abs=0.04)
        assert photo[63 - offset].item() == pytest.approx(1 - expected, abs=0.04)


def test_each_sample_has_its_own_softness() -> None:
    light = texture(batch=3)
    together = develop(light, light, [0.0, 0.4, 0.8], [QUIET] * 3, [None] * 3, [None] * 3).blur
    for row, width in enumerate((0.0, 0.4, 0.8)):
        torch.testing.assert_close(together[row : row + 1], developed(light[row : row + 1], softness_px=width).blur)
