"""Small tensors on their way to a device."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Give a tensor of the CPU on a device, without waiting for the work that is queued there.

    A plain copy from ordinary memory waits until a GPU has done all it was asked before; from pinned memory it
    is queued like everything else.
    """
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
