"""Command lines from frozen dataclasses: a YAML file, then flags; help from the fields' own sentences."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from importlib import resources
from typing import Any, TypeVar

from jsonargparse import ArgumentParser, set_parsing_settings

from m2aenet_core.errors import InputError

Config = TypeVar("Config")


def parse_options(kind: type[Config], prog: str, description: str, argv: Sequence[str] | None = None) -> Config:
    """Give a `kind` from a command line; unknown names and wrong types end the program with code 2.

    `-o` stands for `--out`, `--recipe NAME` for the `--config` of a recipe that comes with the package.
    """
    parser = make_parser(kind, prog, description)
    arguments = ["--out" if word == "-o" else word for word in (sys.argv[1:] if argv is None else argv)]
    values = parser.instantiate(parser.parse_args(_with_recipe(arguments)))
    return kind(**{item.name: values[item.name] for item in dataclasses.fields(kind)})  # type: ignore[arg-type]


def make_parser(kind: type[Any], prog: str, description: str) -> ArgumentParser:
    """Give the parser of a dataclass."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(prog=prog, description=description)
    parser.add_argument("--config", action="config", help="a YAML file with any of the values below")
    parser.add_class_arguments(kind)
    return parser


def to_yaml(config: Any) -> str:
    """Give a config as YAML that `--config` reads."""
    parser = make_parser(type(config), "", "")
    return str(parser.dump(parser.parse_object(dataclasses.asdict(config))))


def recipe_names() -> list[str]:
    """Give the names of the recipes that come with the package."""
    folder = resources.files("m2aenet_core") / "recipes"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def _with_recipe(arguments: list[str]) -> list[str]:
    if "--recipe" not in arguments:
        return arguments
    position = arguments.index("--recipe")
    name = arguments[position + 1] if position + 1 < len(arguments) else ""
    if name not in recipe_names():
        raise InputError(f"there is no recipe called {name!r}; choose one of {', '.join(recipe_names())}")
    path = resources.files("m2aenet_core") / "recipes" / f"{name}.yaml"
    # first, so that the flags beside it count more
    return ["--config", str(path), *arguments[:position], *arguments[position + 2 :]]
