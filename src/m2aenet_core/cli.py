"""The `m2aenet` command: it finds the module of a command by its name, and turns errors into sentences.

A command is a module of this package with `main(argv) -> int`; it is imported only when it is chosen, so that
`m2aenet --help` is quick.
"""

import importlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence

from m2aenet_core import __version__
from m2aenet_core.errors import Cancelled, InputError

COMMANDS: Mapping[str, str] = {
    "deblur": "restore photos from files and folders",
    "train": "train a network on blur made from sharp photos",
    "curves": "show how training runs went, side by side",
    "evaluate": "score models on pairs, or on blur made from sharp photos",
    "sheet": "show what a model makes of many photos, on contact sheets",
    "synthesize": "write a set of made blur, with its truth, from sharp photos",
    "combine": "put motion and restoration that learned apart into one file",
    "calibrate": "make 0.5 the best threshold of a model",
    "benchmark": "measure speed on this machine, and what a model finds, misses and harms",
    "export": "write a network as ONNX",
    "doctor": "tell what this machine can do, and what would make it quicker",
}

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run `m2aenet <command> <arguments>`; the exit code. Without `argv`, the arguments of this process."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help"):
        print(_help())
        return 0 if arguments else EXIT_USAGE
    if name in ("-V", "--version"):
        print(f"m2aenet {__version__}")
        return 0
    if name not in COMMANDS:
        print(f"error: there is no command {name!r}; choose one of {', '.join(COMMANDS)}", file=sys.stderr)
        return EXIT_USAGE
    return run_command(lambda: importlib.import_module(f"m2aenet_core.{name}").main(arguments[1:]))


def run_command(command: Callable[[], object]) -> int:
    """Call `command`; the exit code: what it returned if that is a number, otherwise 0.

    A problem the user can mend becomes a sentence on standard error and 1, Ctrl-C a sentence and 130. What argparse
    exits with (2 for wrong usage) is returned.
    """
    _print_every_name()
    try:
        code = command()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED
    except (KeyboardInterrupt, Cancelled):
        print("stopped; files that were finished are whole, and nothing half-written stays behind", file=sys.stderr)
        return EXIT_INTERRUPTED
    except SystemExit as error:
        code = error.code
    return code if isinstance(code, int) else 0


def _print_every_name() -> None:
    """A file name that the terminal has no letters for is printed with their numbers, and costs no photo."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # under pythonw there is none
            stream.reconfigure(errors="backslashreplace")


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: m2aenet <command> [options]",
            "",
            "Find, explain and remove local motion blur.",
            "",
            *lines,
            "",
            "`m2aenet <command> --help` tells the options of a command, `m2aenet --version` the version.",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
