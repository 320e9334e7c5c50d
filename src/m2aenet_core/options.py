"""Command lines from frozen dataclasses: a recipe, a YAML file, then flags; help from the fields' own sentences."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, TypeVar, get_origin, get_type_hints

import yaml
from jsonargparse import ArgumentParser, set_parsing_settings

from m2aenet_core.errors import InputError

Config = TypeVar("Config")

_BASE = "base"
_SHORT = {"-o": "--out", "-h": "--help"}


def parse_options(kind: type[Config], prog: str, description: str, argv: Sequence[str] | None = None) -> Config:
    """Give a `kind` from a command line; unknown names and wrong types end the program with code 2.

    Words of a flag may be joined by `-` or `_`. `-o` stands for `--out`, a claim alone (`--skip-bad`) for
    `--skip_bad true`, several values for a list, several flags for a list of texts, and `--recipe NAME` for the
    `--config` of a recipe that comes with the package.
    """
    parser = make_parser(kind, prog, description)
    arguments = _in_full(kind, list(sys.argv[1:] if argv is None else argv))
    try:
        values = parser.instantiate(parser.parse_args(_with_recipe(arguments)))
    except UnicodeDecodeError:  # the one thing of a config file that the parser has no sentence for
        parser.error("the file of --config is no text in UTF-8; give a YAML file")
    return kind(**{item.name: values[item.name] for item in dataclasses.fields(kind)})  # type: ignore[arg-type]


def make_parser(kind: type[Any], prog: str, description: str) -> ArgumentParser:
    """Give the parser of a dataclass."""
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    # the start of a name is a typo like another
    parser = ArgumentParser(prog=prog, description=description, allow_abbrev=False)
    parser.add_argument("--config", action="config", help="a YAML file with any of the values below")
    parser.add_class_arguments(kind)
    return parser


def to_yaml(config: Any) -> str:
    """Give a config as YAML that `--config` reads."""
    parser = make_parser(type(config), "", "")
    return str(parser.dump(parser.parse_object(dataclasses.asdict(config))))


# -- the words of a command line ------------------------------------------------------------------------------------


def _in_full(kind: type[Any], words: Sequence[str]) -> list[str]:
    """Give the command line as the parser knows it: one word for a flag, one for its value."""
    types = dict(_options(kind))
    full: list[str] = []
    texts: dict[str, list[str]] = {}
    for flag, values in _grouped(words):
        name = flag.removeprefix("--")
        if types.get(name) is bool and not values:
            full += [flag, "true"]
        elif name in types and get_origin(types[name]) is not tuple and len(values) == 1:
            # in one word, or a value that begins with a dash would be taken for a flag
            full.append(f"{flag}={values[0]}")
        elif get_origin(types.get(name)) is not tuple or (values and values[0].startswith("[")):
            full += [flag, *values] if flag else values
        elif types[name] == tuple[str, ...]:
            texts.setdefault(flag, []).extend(values)
        else:
            full += [flag, f"[{', '.join(values)}]"]
    for flag, values in texts.items():
        full += [flag, json.dumps(values)]
    return full


def _grouped(words: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Give each flag with the words up to the next one; those before the first belong to an empty one."""
    groups: list[tuple[str, list[str]]] = [("", [])]
    for word in words:
        if word in _SHORT or (word.startswith("--") and len(word) > 2):
            name, equals, value = _SHORT.get(word, word).partition("=")
            groups.append(("--" + name[2:].replace("-", "_"), [value] if equals else []))
        else:
            groups[-1][1].append(word)
    return [group for group in groups if group != ("", [])]


def _options(kind: type[Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give name and type of every option, those of dataclasses inside dataclasses with a dot."""
    hints = get_type_hints(kind)
    for item in dataclasses.fields(kind):
        hint = hints[item.name]
        yield prefix + item.name, hint
        if isinstance(hint, type) and dataclasses.is_dataclass(hint):
            yield from _options(hint, f"{prefix}{item.name}.")


# -- recipes --------------------------------------------------------------------------------------------------------


def recipe_names() -> list[str]:
    """Give the names of the recipes that come with the package; those in a folder as `folder/name`."""
    return sorted(_names_below(_recipes()))


def recipe_values(name: str) -> dict[str, Any]:
    """Give what a recipe says: its own values over those of the recipe it names as its `base`.

    Raises InputError for a name that is no recipe.
    """
    if name not in recipe_names():
        raise InputError(f"there is no recipe called {name!r}; choose one of {', '.join(recipe_names())}")
    values: dict[str, Any] = yaml.safe_load(_recipes().joinpath(f"{name}.yaml").read_text("utf-8"))
    base = values.pop(_BASE, None)
    return values if base is None else _merged(recipe_values(base), values)


def _recipes() -> Traversable:
    return resources.files("m2aenet_core") / "recipes"


def _names_below(folder: Traversable, prefix: str = "") -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _names_below(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            yield prefix + entry.name.removesuffix(".yaml")


def _merged(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in values.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _with_recipe(arguments: list[str]) -> list[str]:
    if "--recipe" not in arguments:
        return arguments
    position = arguments.index("--recipe")
    name = arguments[position + 1] if position + 1 < len(arguments) else ""
    text = yaml.safe_dump(recipe_values(name), default_flow_style=True, width=float("inf"))
    # first, so that the flags beside it count more
    return ["--config", text, *arguments[:position], *arguments[position + 2 :]]
