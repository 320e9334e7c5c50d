"""Under torch.compile each operator is one graph, and gives what it gives without."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from m2aenet_core.ops.sampling import deformable_depthwise, look_up, tap_table
from m2aenet_core.ops.sparse import depthwise_at_kept, dilate, gather, kept_pixels, scatter
from m2aenet_core.ops.splat import reblur, splat

B, C, H, W = 2, 4, 8, 10
# inductor builds C++; on Windows it asks for cl
HAS_COMPILER = any(shutil.which(name) for name in ("g++", "c++", "clang++", "cl"))


class Case(NamedTuple):
    function: Callable[..., Any]
    inputs: tuple[Tensor, ...]


def displacements(*leading: int) -> Tensor:
    """Between whole pixels: on them the two ways may choose different sides of the kink."""
    return torch.randint(-2, 3, (*leading, 2, H, W)) + 0.2 + 0.6 * torch.rand(*leading, 2, H, W)


def convolve(features: Tensor, kernel: Tensor, bias: Tensor, offsets: Tensor) -> Tensor:
    return deformable_depthwise(features, kernel, bias, tap_table(offsets))


def cases() -> dict[str, Case]:
    image, kernel, bias = torch.rand(B, C, H, W), torch.randn(C, 1, 3, 3), torch.randn(C)
    pixels = kept_pixels((torch.rand(B, 1, H, W) > 0.6).float())

    def pruned(features: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
        rows = gather(features, pixels.dilated)
        return scatter(features.square(), pixels.kept, depthwise_at_kept(rows, kernel, bias, pixels))

    return {
        "look_up": Case(look_up, (image, displacements(B))),
        "splat": Case(splat, (image, displacements(B))),
        "reblur": Case(reblur, (image, displacements(3, B))),
        "deformable_depthwise": Case(convolve, (image, kernel, bias, displacements(9, B))),
        "pruned convolution": Case(pruned, (image, kernel, bias)),
    }


def outputs_and_gradients(function: Callable[..., Any], inputs: tuple[Tensor, ...]) -> list[Tensor]:
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    found = function(*leaves)
    outputs = list(found) if isinstance(found, tuple) else [found]
    loss = torch.stack([output.square().sum() for output in outputs]).sum()
    return [*(output.detach() for output in outputs), *torch.autograd.grad(loss, leaves)]


@pytest.fixture(autouse=True)
def _no_graphs_of_other_tests() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("name", cases())
@pytest.mark.parametrize(
    "dynamic", [pytest.param(False, id="fixed sizes"), pytest.param(True, id="free sizes", marks=pytest.mark.slow)]
)
def test_an_operator_is_one_graph_forward_and_backward(name: str, dynamic: bool) -> None:
    function, inputs = cases()[name]
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager", dynamic=dynamic)
    with torch.no_grad():
        torch.testing.assert_close(compiled(*inputs), function(*inputs), atol=1e-4, rtol=1e-4)
    for one, other in zip(
        outputs_and_gradients(compiled, inputs), outputs_and_gradients(function, inputs), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def own_operators() -> dict[str, tuple[Any, ...]]:
    """Our operators as torch knows them, with inputs that want gradients."""
    rows, kernel, bias = torch.rand(B * H * W, C), torch.rand(9, C), torch.rand(C)
    image, offsets, middle = torch.rand(B, C, H, W), displacements(9, B), torch.rand(C)
    table = tap_table(offsets)
    assert table.readers is not None
    taps = (table.weights.detach(), table.neighbours, list(table.readers))
    pixels = kept_pixels((torch.rand(B, 1, H, W) > 0.6).float())
    read, kept = rows[: len(pixels.dilated)], rows[: len(pixels.kept)]
    for leaf in (rows, kernel, bias, middle, image, offsets, taps[0]):
        leaf.requires_grad_()
    operators = torch.ops.m2aenet
    plain = [tensor.detach() for tensor in (rows, kernel, middle, taps[0])]
    return {
        "splat": (operators.splat, image, offsets),
        "splat backward": (
            operators.splat_backward,
            image.detach(),
            image.detach()[:, :1],
            image.detach(),
            offsets.detach(),
            True,
        ),
        "deformable": (operators.deformable_depthwise, rows, kernel, None, bias, *taps),
        "deformable, still in the middle": (operators.deformable_depthwise, rows, kernel, middle, bias, *taps),
        "deformable, without readers": (operators.deformable_depthwise, rows, kernel, None, bias, *taps[:2], []),
        "deformable backward": (
            operators.deformable_depthwise_backward,
            plain[0],
            *plain[:3],
            plain[3],
            *taps[1:],
            True,
        ),
        "deformable backward, no table": (
            operators.deformable_depthwise_backward,
            plain[0],
            *plain[:2],
            None,
            plain[3],
            *taps[1:],
            False,
        ),
        "at kept": (operators.depthwise_at_kept, read.detach().requires_grad_(), kernel, bias, pixels.neighbours),
        "at kept backward": (
            operators.depthwise_at_kept_backward,
            kept.detach(),
            read.detach(),
            plain[1],
            pixels.neighbours,
        ),
    }


@pytest.mark.parametrize("name", own_operators())
def test_what_an_operator_tells_torch_of_itself_is_true(name: str) -> None:
    """Shapes, types and memory order without computing; inputs left alone; gradients the same when compiled."""
    operator, *inputs = own_operators()[name]
    assert set(torch.library.opcheck(operator.default, tuple(inputs)).values()) == {"SUCCESS"}


def test_kept_pixels_are_one_graph_where_sizes_may_depend_on_data() -> None:
    masks = [(torch.rand(B, 1, H, W) > share).float() for share in (0.3, 0.9, 1.0)]
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(kept_pixels, fullgraph=True, backend="aot_eager")
        for mask in masks:
            for one, other in zip(compiled(mask), kept_pixels(mask), strict=True):
                assert torch.equal(one, other)


def test_dilating_is_one_graph() -> None:
    mask = (torch.rand(B, 1, H, W) > 0.6).float()
    compiled = torch.compile(dilate, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(mask), dilate(mask))


@pytest.mark.slow
@pytest.mark.skipif(not HAS_COMPILER, reason="torch.compile builds C++, and there is no compiler here")
@pytest.mark.parametrize("name", ["look_up", "splat", "deformable_depthwise", "pruned convolution"])
def test_the_compiler_builds_an_operator_and_its_gradients(name: str) -> None:
    function, inputs = cases()[name]
    found = outputs_and_gradients(torch.compile(function, fullgraph=True), inputs)
    for one, other in zip(found, outputs_and_gradients(function, inputs), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
