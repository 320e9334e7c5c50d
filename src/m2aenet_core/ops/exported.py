"""Whether what runs is being written down."""

import torch


def is_exported() -> bool:
    """Tell whether an export looks on, which has to write everything down in plain operations.

    A compiler runs on this machine, and can call an operator as it is.
    """
    return torch.compiler.is_compiling() and not torch.compiler.is_dynamo_compiling()
