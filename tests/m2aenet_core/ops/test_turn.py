"""Images and displacements turned by quarters and mirrored."""

import numpy as np
import pytest
import torch

from m2aenet_core.ops.turn import Turn

TURNS = [Turn(quarters, is_mirrored) for quarters in range(4) for is_mirrored in (False, True)]


@pytest.mark.parametrize("turn", TURNS)
def test_an_image_is_turned_as_numpy_turns_it(turn: Turn) -> None:
    image = torch.arange(24.0).view(1, 2, 3, 4)
    expected = np.rot90(image.numpy(), turn.quarters, axes=(2, 3))
    assert np.array_equal(turn.of(image), expected[..., ::-1] if turn.is_mirrored else expected)


@pytest.mark.parametrize("turn", TURNS)
def test_what_is_turned_back_is_as_it_was(turn: Turn) -> None:
    image, field = torch.rand(2, 3, 5, 7), torch.rand(2, 6, 5, 7)
    assert torch.equal(turn.back(turn.of(image)), image)
    assert torch.equal(turn.back_vectors(turn.of_vectors(field)), field)


@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_vector_leads_to_the_turned_place(turn: Turn) -> None:
    here, there = (1, 2), (4, 0)
    marks = torch.zeros(1, 2, 5, 7)
    marks[0, 0, *here] = 1
    marks[0, 1, *there] = 1
    field = torch.zeros(1, 4, 5, 7)
    field[0, 2:, *here] = torch.tensor([there[0] - here[0], there[1] - here[1]])
    start, end = (turn.of(marks)[0, channel].nonzero()[0] for channel in (0, 1))
    turned = turn.of_vectors(field)[0]
    assert torch.equal(turned[2:, *start], (end - start).float())
    assert not turned[:2].any()
