"""Rigid motions as affine maps."""

import numpy as np
import pytest

from m2aenet_core.data.draws import RigidPath
from m2aenet_core.data.paths import Paths, turned
from m2aenet_core.ops.turn import Turn

PATHS = [RigidPath((3.0, -4.0), (0.5, 1.0), 0.2, 0.1), RigidPath((0.0, 6.0))]
TIMES = np.array([[-1.0, 0.0, 0.5], [-1.0, 0.0, 1.0]])


@pytest.fixture
def paths() -> Paths:
    return Paths.of([(10.0, 20.0), (5.0, 5.0)], PATHS)


def test_at_mid_exposure_everything_is_in_its_place(paths: Paths) -> None:
    moves = paths.moves(TIMES)
    assert np.array_equal(moves.matrix[:, 1], np.tile(np.eye(2), (2, 1, 1)))
    assert np.array_equal(moves.offset[:, 1], np.zeros((2, 2)))


def test_a_centre_follows_the_quadratic_path(paths: Paths) -> None:
    moves = paths.moves(TIMES)
    at_half = moves.matrix[0, 2] @ [10.0, 20.0] + moves.offset[0, 2]
    np.testing.assert_allclose(at_half, [10 + 0.5 * 3 + 0.25 * 0.5, 20 - 0.5 * 4 + 0.25 * 1.0])


def test_a_map_and_its_inverse_cancel(paths: Paths) -> None:
    moves = paths.moves(TIMES)
    both = moves.inverse().after(moves)
    np.testing.assert_allclose(both.matrix, np.broadcast_to(np.eye(2), both.matrix.shape), atol=1e-12)
    np.testing.assert_allclose(both.offset, 0, atol=1e-12)


def test_one_after_the_other_is_the_second_of_the_first(paths: Paths) -> None:
    first, second = paths.moves(TIMES), paths.moves(TIMES / 2)
    point = np.array([1.0, 2.0])
    through = first.matrix @ point + first.offset
    expected = (second.matrix @ through[..., None])[..., 0] + second.offset
    both = second.after(first)
    np.testing.assert_allclose(both.matrix @ point + both.offset, expected)


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_a_turn_looks_up_what_numpy_would_have_turned(
    rng: np.random.Generator, quarters: int, is_mirrored: bool
) -> None:
    picture = rng.random((6, 6))
    expected = np.rot90(picture, quarters)
    expected = expected[:, ::-1] if is_mirrored else expected
    places = np.stack(np.mgrid[:6, :6], axis=-1) - 2.5
    rows, columns = np.moveaxis((places @ turned(Turn(quarters, is_mirrored)).T + 2.5).round().astype(int), -1, 0)
    assert np.array_equal(picture[rows, columns], expected)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_faster_than_the_bound(path: RigidPath) -> None:
    radius, fine = 30.0, np.linspace(-1, 1, 2001)[None]
    rim = np.array([[np.sin(a), np.cos(a)] for a in np.linspace(0, 2 * np.pi, 60)]) * radius
    moves = Paths.of([(0.0, 0.0)], [path]).moves(fine)
    places = np.einsum("nij,kj->nki", moves.matrix[0], rim) + moves.offset[0][:, None]
    speed = np.linalg.norm(np.diff(places, axis=0), axis=-1).max() / (fine[0, 1] - fine[0, 0])
    assert speed <= path.top_speed(radius) * (1 + 1e-3)
    assert path.top_speed(radius) < 1.5 * speed


def test_a_share_of_a_path_is_that_share_of_every_place() -> None:
    whole, half = (Paths.of([(0.0, 0.0)], [path]).moves(TIMES[:1]) for path in (PATHS[1], PATHS[1].scaled(0.5)))
    np.testing.assert_allclose(half.offset, whole.offset / 2)
