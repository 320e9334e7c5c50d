"""Gates give what plain operations give, gradients too."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from m2aenet_core.ops.gates import masked_gate, simple_gate


def plain_simple(features: Tensor) -> Tensor:
    first, second = features.chunk(2, dim=1)
    return first * second


def plain_masked(convolved: Tensor, repeated: Tensor, mask: Tensor) -> Tensor:
    return plain_simple(convolved) * mask + repeated * repeated * (1 - mask)


def inputs_of(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    mask = (torch.rand(2, 1, 5, 7) > 0.5).to(dtype)
    return torch.randn(2, 6, 5, 7, dtype=dtype), torch.randn(2, 3, 5, 7, dtype=dtype), mask


CASES = [
    pytest.param(simple_gate, plain_simple, 1, id="simple"),
    pytest.param(masked_gate, plain_masked, 3, id="masked"),
]


@pytest.mark.parametrize(("ours", "plain", "count"), CASES)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_gate_is_the_plain_product_with_its_gradients(
    ours: Callable[..., Tensor], plain: Callable[..., Tensor], count: int, memory_format: torch.memory_format
) -> None:
    inputs = [tensor.to(memory_format=memory_format).requires_grad_() for tensor in inputs_of()[:count]]
    found, expected = ours(*inputs), plain(*inputs)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(found)
    for one, other in zip(
        torch.autograd.grad(found, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True
    ):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close(ours(*inputs), expected)


@pytest.mark.parametrize(("ours", "plain", "count"), CASES)
def test_its_gradients_are_those_of_differences(
    ours: Callable[..., Tensor], plain: Callable[..., Tensor], count: int
) -> None:
    inputs = [tensor.requires_grad_() for tensor in inputs_of(torch.float64)[:count]]
    # the mask is 0 or 1, where differences cannot be taken
    fixed = [tensor.detach() if tensor.shape[1] == 1 else tensor for tensor in inputs]
    assert torch.autograd.gradcheck(ours, fixed)


def test_a_mask_without_gradient_gets_none() -> None:
    convolved, repeated, mask = inputs_of()
    masked_gate(convolved.requires_grad_(), repeated.requires_grad_(), mask).sum().backward()
    assert mask.grad is None
    assert convolved.grad is not None


def test_mixed_precision_gives_each_input_a_gradient_of_its_own_type() -> None:
    convolved, repeated, mask = inputs_of()
    inputs = (convolved.bfloat16().requires_grad_(), repeated.requires_grad_(), mask.requires_grad_())
    gradients = torch.autograd.grad(masked_gate(*inputs).sum(), inputs)
    assert [gradient.dtype for gradient in gradients] == [torch.bfloat16, torch.float32, torch.float32]
