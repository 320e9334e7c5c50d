"""Between images and tensors, in every depth and layout."""

import numpy as np
import pytest
import torch

from m2aenet_core.errors import InputError
from m2aenet_core.ops.light import to_linear, to_srgb
from m2aenet_core.pixels import add_residual, check_image, check_value_range, colours, to_tensor, value_range_of

DTYPES = ["uint8", "uint16", "uint32", "int16", "int32", "float16", "float32", "float64"]
SHAPES = [(6, 7), (6, 7, 1), (6, 7, 3), (6, 7, 4)]


def image_of(dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """Random values in the lower nine tenths of what the dtype usually holds, negative ones for signed integers."""
    rng = np.random.default_rng(1)
    if dtype.startswith("float"):
        return (0.9 * rng.random(shape)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(0.9 * limits.min, 0.9 * limits.max, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_depth_and_layout_is_a_photo_in_zero_to_one(dtype: str, shape: tuple[int, ...]) -> None:
    image = image_of(dtype, shape)
    check_image(image)
    tensor = to_tensor(image, value_range_of(image))
    assert tensor.shape == (1, 3, 6, 7)
    assert tensor.dtype == torch.float32
    assert 0 <= tensor.min() < 0.3
    assert 0.7 < tensor.max() <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_no_residual_changes_no_bit(dtype: str, shape: tuple[int, ...]) -> None:
    image = image_of(dtype, shape)
    restored = add_residual(image, np.zeros((6, 7, 3), np.float32), value_range_of(image))
    assert restored.dtype == image.dtype
    assert np.array_equal(restored, image)
    assert not np.shares_memory(restored, image)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_residual_moves_values_by_its_share_of_the_range_and_spares_alpha(dtype: str, shape: tuple[int, ...]) -> None:
    image = image_of(dtype, shape)
    low, high = value_range_of(image)
    residual = np.zeros((6, 7, 3), np.float32)
    residual[2:4] = 0.05
    restored = add_residual(image, residual, (low, high))
    assert restored.dtype == image.dtype
    assert restored.shape == image.shape
    moved = colours(restored).astype(float) - colours(image).astype(float)
    untouched = np.delete(moved, [2, 3], axis=0)
    assert not untouched.any()
    expected = np.minimum(colours(image)[2:4] + 0.05 * (high - low), high) - colours(image)[2:4].astype(float)
    step = 1e-3 if dtype == "float16" else 1e-6 if dtype.startswith("float") else 1
    assert np.abs(moved[2:4] - expected).max() <= step * max(1, (high - low) * 1e-6)
    if len(shape) == 3 and shape[2] == 4:
        assert np.array_equal(restored[..., 3], image[..., 3])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
def test_integers_saturate_and_never_wrap_around(dtype: str) -> None:
    image = image_of(dtype, (6, 7, 3))
    bounds = value_range_of(image)
    for sign in (-2, 2):
        restored = add_residual(image, np.full((6, 7, 3), sign, np.float32), bounds)
        assert (restored == (bounds[0] if sign < 0 else bounds[1])).all()


def test_values_beyond_the_given_range_are_kept_within_the_images_own() -> None:
    image = np.array([[0.2, 1.7], [0.4, -0.3]], np.float32)
    residual = np.full((2, 2, 3), 0.1, np.float32)
    restored = add_residual(image, residual, (0.0, 1.0))
    np.testing.assert_allclose(restored, [[0.3, 1.7], [0.5, -0.2]], atol=1e-6)


def test_light_is_shown_and_changed_as_srgb() -> None:
    light = np.linspace(0, 1000, 42).reshape(6, 7).astype(np.float32)
    photo = np.stack([light, light[::-1], light[:, ::-1]], axis=2)
    encoded = to_tensor(photo, (0.0, 1000.0), linear_light=True)
    torch.testing.assert_close(encoded, to_srgb(to_tensor(photo, (0.0, 1000.0))))
    residual = np.random.default_rng(0).uniform(-0.05, 0.05, photo.shape).astype(np.float32)
    residual[0] = 0
    restored = add_residual(photo, residual, (0.0, 1000.0), linear_light=True)
    assert np.array_equal(restored[0], photo[0])
    seen = to_tensor(restored, (0.0, 1000.0), linear_light=True)[0].permute(1, 2, 0).numpy()
    expected = encoded[0].permute(1, 2, 0).numpy() + residual
    inside = (expected > 0) & (expected < 1)
    np.testing.assert_allclose(seen[inside], expected[inside], atol=1e-5)
    assert inside.mean() > 0.8


def test_light_beyond_white_stays_beyond_it() -> None:
    light = np.array([[-0.25, 0.5, 1.5]], np.float64)
    residual = np.full((1, 3, 3), -0.1, np.float32)
    restored = add_residual(light, residual, (0.0, 1.0), linear_light=True)
    white = float(to_linear(torch.tensor(0.9))) - 1
    assert restored[0, 2] == pytest.approx(1.5 + white, abs=1e-6)
    assert restored[0, 0] == -0.25  # the darkest value of the photo
    assert 0 < restored[0, 1] < 0.5


def test_grey_takes_the_mean_of_the_residual_and_is_repeated_for_the_network() -> None:
    image = np.full((2, 2), 0.5, np.float64)
    residual = np.zeros((2, 2, 3), np.float32)
    residual[..., 0] = 0.3
    np.testing.assert_allclose(add_residual(image, residual, (0.0, 1.0)), 0.6, atol=1e-6)
    tensor = to_tensor(image, (0.0, 1.0))
    assert torch.equal(tensor, torch.full((1, 3, 2, 2), 0.5))


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, 3], "uint8", (0, 255)),
        ([0, 3], "uint16", (0, 255)),
        ([0, 256], "uint16", (0, 1023)),
        ([0, 4095], "uint16", (0, 4095)),
        ([0, 4096], "uint16", (0, 16383)),
        ([0, 65535], "uint16", (0, 65535)),
        ([0, 70000], "uint32", (0, 2**24 - 1)),
        ([0, 1000], "int16", (0, 1023)),
        ([-50, 1000], "int16", (-50, 1000)),
        ([-5, -5], "int16", (-5, -4)),
        ([0.0, 0.2], "float32", (0, 1)),
        ([0.0, 1.0], "float64", (0, 1)),
        ([0.0, 1.01], "float32", (0, 1)),
        ([0.0, 2.0], "float16", (0, 1)),
        ([0.0, 2.5], "float32", (0, 255)),
        ([0, 2], "uint16", (0, 255)),
        ([0.0, 3000.0], "float32", (0, 4095)),
        ([-1.0, 1.0], "float32", (-1, 1)),
        ([0.0, 1e12], "float64", (0, 1e12)),
        ([0.0, 0.0], "float32", (0, 1)),
    ],
)
def test_the_range_is_that_of_the_smallest_usual_depth(
    values: list[float], dtype: str, expected: tuple[float, float]
) -> None:
    assert value_range_of(np.array([values], dtype)) == expected


def test_what_swings_beyond_white_is_white_for_the_network_and_stays_where_nothing_is_restored() -> None:
    image = np.array([[0.2, 1.01], [0.4, 1.01]], np.float32)
    bounds = value_range_of(image)
    assert to_tensor(image, bounds)[0, 0].tolist() == [[pytest.approx(0.2), 1], [pytest.approx(0.4), 1]]
    residual = np.zeros((2, 2, 3), np.float32)
    residual[1] = 0.1
    np.testing.assert_allclose(add_residual(image, residual, bounds), [[0.2, 1.01], [0.5, 1.01]], atol=1e-6)


def test_alpha_has_no_say_in_the_range() -> None:
    image = np.zeros((2, 2, 4), np.float32)
    image[..., 3] = 255
    assert value_range_of(image) == (0, 1)


def test_a_range_of_ones_own_sets_black_and_white() -> None:
    image = np.array([[100, 150, 200, 250]], np.uint8)
    assert to_tensor(image, (100.0, 200.0))[0, 0, 0].tolist() == [0, 0.5, 1, 1]


@pytest.mark.parametrize("order", ["reversed", "transposed", "big-endian", "read-only"])
def test_the_layout_in_memory_does_not_matter(order: str, rng: np.random.Generator) -> None:
    plain = rng.integers(0, 60000, (6, 7, 3), np.uint16)
    image = {
        "reversed": lambda: plain[::-1, ::-1].copy()[::-1, ::-1],
        "transposed": lambda: np.asfortranarray(plain),
        "big-endian": lambda: plain.astype(">u2"),
        "read-only": plain.copy,
    }[order]()
    image.setflags(write=order != "read-only")
    residual = rng.normal(0, 0.1, (6, 7, 3)).astype(np.float32)
    assert torch.equal(to_tensor(image, (0, 65535)), to_tensor(plain, (0, 65535)))
    restored = add_residual(image, residual, (0, 65535))
    assert restored.dtype == image.dtype
    assert np.array_equal(restored, add_residual(plain, residual, (0, 65535)))


BAD = {
    "a list": ([[1, 2]], r"the image is of type list; give a numpy array of integers or floats"),
    "booleans": (np.ones((2, 2), bool), r"the image is of type bool; give a numpy array"),
    "complex": (np.ones((2, 2), complex), r"the image is of type complex128; give a numpy array"),
    "objects": (np.array([[None]]), r"the image is of type object; give a numpy array"),
    "one axis": (np.ones(5), r"the image has the shape 5; give \(H, W\), .* one frame at a time"),
    "a stack": (np.ones((2, 4, 5, 3)), r"the image has the shape 2x4x5x3; give"),
    "two channels": (np.ones((4, 5, 2)), r"the image has the shape 4x5x2; give"),
    "channels first": (np.ones((3, 40, 50)), r"the image has the shape 3x40x50; give"),
    "empty": (np.ones((0, 5)), r"the image is empty \(0x5\); give one with at least one pixel"),
    "no columns": (np.ones((5, 0, 3)), r"the image is empty \(5x0x3\)"),
    "NaN": (np.array([[0.1, np.nan]]), r"the image holds NaN or infinity; replace them"),
    "infinity": (np.array([[0.1, -np.inf]], np.float32), r"the image holds NaN or infinity; replace them"),
}


@pytest.mark.parametrize(("image", "sentence"), BAD.values(), ids=BAD.keys())
def test_what_is_no_photo_gets_a_sentence(image: np.ndarray, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        check_image(image)


def test_alpha_may_hold_anything() -> None:
    image = np.ones((2, 2, 4), np.float32)
    image[..., 3] = np.nan
    check_image(image)


@pytest.mark.parametrize("value_range", [(1.0, 0.0), (1.0, 1.0), (0.0, np.nan), (-np.inf, 1.0)])
def test_black_must_be_below_white(value_range: tuple[float, float]) -> None:
    with pytest.raises(InputError, match=r"value_range is .*; give black first, then a larger white"):
        check_value_range(value_range)
