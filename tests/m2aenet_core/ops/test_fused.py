"""Halves of a block in passes: the results of the layers one by one."""

import pytest
import torch

from m2aenet_core.models.m2as_block import Guide, M2ASBlock
from m2aenet_core.models.nafnet import NAFBlock
from m2aenet_core.models.trajectory import Motion
from m2aenet_core.models.trajectory_conv import trajectory_taps
from m2aenet_core.ops import fused
from m2aenet_core.ops.sparse import kept_pixels


def drawn(block: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    for parameter in block.parameters():
        parameter.data = torch.randn_like(parameter) * 0.4
    return block.eval()


def features_of(size: tuple[int, int, int, int]) -> torch.Tensor:
    return torch.randn(size).to(memory_format=torch.channels_last)


def assert_same(block: torch.nn.Module, *inputs: object) -> None:
    with torch.inference_mode():
        found = block(*inputs)
    wanted = block(*inputs).detach()  # with gradients: layer by layer
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("size", [(1, 8, 1, 1), (1, 8, 1, 37), (2, 8, 23, 5), (1, 32, 40, 64)])
@pytest.mark.parametrize("piece_bytes", [64, 4096, 1 << 20])
def test_a_block_in_pieces_of_any_size_is_the_block(
    size: tuple[int, int, int, int], piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "_PIECE_BYTES", piece_bytes)
    monkeypatch.setattr(fused, "_ROWS_BYTES", piece_bytes)
    assert_same(drawn(NAFBlock(size[1])), features_of(size))


@pytest.mark.parametrize("size", [(1, 8, 3, 5), (2, 8, 31, 17)])
@pytest.mark.parametrize("cell", [1, 4, 50])
def test_a_block_with_local_attention_in_passes_is_the_block(size: tuple[int, int, int, int], cell: int) -> None:
    block = drawn(NAFBlock(8))
    block.attention.cell = cell
    assert_same(block, features_of(size))


def test_features_in_another_memory_format_give_the_same() -> None:
    block, features = drawn(NAFBlock(8)), torch.randn(2, 8, 9, 11)
    with torch.inference_mode():
        torch.testing.assert_close(block(features), block(features.to(memory_format=torch.channels_last)))


@pytest.mark.parametrize("taps", [0, 9])
@pytest.mark.parametrize("positions", [(), (1,), (1, 2)])
@pytest.mark.parametrize("form", ["no mask", "dense", "pruned"])
def test_a_guided_block_in_passes_is_the_block(taps: int, positions: tuple[int, ...], form: str) -> None:
    block = drawn(M2ASBlock(8, positions, taps))
    features = features_of((2, 8, 12, 10))
    mask = None if form == "no mask" else (torch.rand(2, 1, 12, 10) > 0.6).float()
    kept = kept_pixels(mask) if form == "pruned" and mask is not None else None
    with torch.no_grad():
        table = trajectory_taps(Motion.of(*(2 * torch.randn(2, 2, 2, 12, 10))), 9) if taps else None
    assert_same(block, features, Guide(mask, table, kept))


def test_the_layers_run_one_by_one_where_somebody_wants_their_values() -> None:
    features = torch.randn(1, 4, 4, 4)
    assert not fused.runs_fused(features)
    with torch.inference_mode():
        assert fused.runs_fused(features)
        assert not fused.runs_fused(features.to(torch.bfloat16))
        with torch.autocast("cpu", torch.bfloat16):
            assert not fused.runs_fused(features)
