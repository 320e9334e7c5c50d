"""The `m2aenet benchmark` command: it finds the module of a sub-command by its name.

A sub-command is a module of this package with `main(argv) -> int`; it is imported only when it is chosen.
"""

import importlib
import sys
from collections.abc import Mapping, Sequence

SUBCOMMANDS: Mapping[str, str] = {
    "harm": "what becomes of pictures without motion blur",
    "inference": "deblurring a photo, beside NAFNet: how the cost follows the blur",
    "macs": "multiply-adds of every network, counted",
    "masks": "how well blur is found on photos whose masks were drawn by hand",
    "operators": "each operator beside other ways to compute it",
    "oracle": "what better masks and better motion would bring",
    "scales": "at which working scale blur of which length is best restored",
    "train": "a training step of NAFNet, M2AENet and LMD-ViT side by side",
    "transfer": "what becomes of blur that is made otherwise than that of training",
}

_EXIT_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run `m2aenet benchmark <sub-command> <arguments>`; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        print(_help())
        return 0 if arguments else _EXIT_USAGE
    if name not in SUBCOMMANDS:
        print(f"error: there is no benchmark {name!r}; choose one of {', '.join(SUBCOMMANDS)}", file=sys.stderr)
        return _EXIT_USAGE
    code: int = importlib.import_module(f"m2aenet_core.benchmark.{name}").main(arguments[1:])
    return code


def _help() -> str:
    width = max(map(len, SUBCOMMANDS))
    lines = [f"  {name.ljust(width)}  {text}" for name, text in SUBCOMMANDS.items()]
    return "\n".join(
        [
            "usage: m2aenet benchmark <what> [options]",
            "",
            "Measure speed and memory on this machine, and what a model finds, misses and harms.",
            "",
            *lines,
            "",
            "`m2aenet benchmark <what> --help` tells the options.",
        ]
    )
