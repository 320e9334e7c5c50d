"""Command lines and recipes, for a settings class that needs every kind of them."""

from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import pytest
import yaml

from m2aenet_core.errors import InputError
from m2aenet_core.options import parse_options, recipe_names, recipe_values, to_yaml


@dataclass(frozen=True)
class Inner:
    """Inner settings."""

    sharp_edges: bool = True
    """Whether edges are sharp."""
    blocks: tuple[int, ...] = (1, 2)
    """Blocks."""


@dataclass(frozen=True)
class Settings:
    """Settings."""

    out: str
    """Where to."""
    pairs: tuple[str, ...] = ()
    """Folders."""
    skip_bad: bool = False
    """Whether to skip."""
    rate: float = 1.0
    """Rate."""
    inner: Inner = field(default_factory=Inner)
    """Inner ones."""


def parsed(*words: str) -> Settings:
    return parse_options(Settings, "program", "about", ["-o", "there", *words])


@pytest.mark.parametrize(
    "words",
    [["--skip-bad"], ["--skip_bad"], ["--skip-bad", "true"], ["--skip_bad=true"], ["--skip-bad", "--rate", "1"]],
)
def test_a_claim_needs_no_value_and_words_are_joined_by_either_sign(words: list[str]) -> None:
    assert parsed(*words).skip_bad
    assert not parsed().skip_bad
    assert not parsed("--skip-bad", "false").skip_bad


def test_a_claim_of_inner_settings_needs_no_value_either() -> None:
    assert parsed("--inner.sharp-edges").inner.sharp_edges
    assert not parsed("--inner.sharp-edges", "false").inner.sharp_edges


@pytest.mark.parametrize(
    "words",
    [
        ["--pairs", "a", "b c"],
        ["--pairs", "a", "--pairs", "b c"],
        ["--pairs", '["a", "b c"]'],
        ["--pairs=a", "--pairs=b c"],
    ],
)
def test_texts_are_listed_side_by_side_or_flag_by_flag(words: list[str]) -> None:
    assert parsed(*words).pairs == ("a", "b c")


@pytest.mark.parametrize("words", [["[3, 4]"], ["[3,4]"], ["3", "4"], ["3,4"]])
def test_numbers_are_listed_side_by_side_too(words: list[str]) -> None:
    assert parsed("--inner.blocks", *words, "--rate", "2").inner.blocks == (3, 4)


def test_one_number_is_a_list_of_one() -> None:
    assert parsed("--inner.blocks", "3").inner.blocks == (3,)
    assert parsed("--inner.blocks", "[]").inner.blocks == ()


def test_out_may_stand_in_short() -> None:
    assert parse_options(Settings, "program", "about", ["--out", "there"]).out == parsed().out == "there"


@pytest.mark.parametrize("words", [["stray"], ["--skip", "x"], ["--rate", "quick"], ["--pairs-of", "a"]])
def test_what_is_not_an_option_ends_with_code_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(*words)
    assert caught.value.code == 2


@pytest.mark.parametrize("words", [["--out=-photos"], ["--out", "-photos"], ["-o", "-photos"]])
def test_a_value_may_begin_with_a_dash(words: list[str]) -> None:
    assert parse_options(Settings, "program", "about", words).out == "-photos"


def test_help_is_no_value() -> None:
    with pytest.raises(SystemExit) as caught:
        parsed("--skip-bad", "-h")
    assert caught.value.code == 0


def test_a_config_file_that_is_no_text_gets_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(SystemExit) as caught:
        parsed("--config", str(tmp_path / "photo.png"))
    assert caught.value.code == 2
    assert "give a YAML file" in capsys.readouterr().err


def test_a_config_file_says_what_the_command_line_says(tmp_path: Path) -> None:
    settings = parsed("--pairs", "a", "--skip-bad", "--inner.blocks", "[5]")
    (tmp_path / "config.yaml").write_text(to_yaml(settings))
    assert parse_options(Settings, "program", "about", ["--config", str(tmp_path / "config.yaml")]) == settings


# -- recipes --------------------------------------------------------------------------------------------------------


def files() -> dict[str, Path]:
    folder = Path(str(resources.files("m2aenet_core") / "recipes"))
    return {str(path.relative_to(folder).with_suffix("")): path for path in folder.rglob("*.yaml")}


def test_recipes_are_found_in_folders_too() -> None:
    assert recipe_names() == sorted(files())
    assert "ablation/no-mask" in recipe_names()


def test_a_recipe_says_its_own_values_over_those_of_its_base() -> None:
    base, variant = recipe_values("ablation/both"), recipe_values("ablation/no-mask")
    assert "base" not in variant
    assert variant["model"] == {**base["model"], "use_mask": False}
    assert {**variant, "model": base["model"]} == base
    assert base["model"]["use_mask"]


@pytest.mark.parametrize("name", sorted(files()))
def test_every_base_is_a_recipe(name: str) -> None:
    base = yaml.safe_load(files()[name].read_text()).get("base")
    assert base is None or base in recipe_names()


@pytest.mark.parametrize("name", ["huge", "", "../recipes/small", "ablation"])
def test_an_unknown_recipe_gets_a_sentence_with_the_known_ones(name: str) -> None:
    with pytest.raises(InputError, match=f"choose one of {', '.join(recipe_names())}"):
        recipe_values(name)
