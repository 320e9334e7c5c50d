from __future__ import annotations

import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
from napari._app_model.constants import MenuId  # the only list there is of the menus that a plugin may add to
from npe2 import PluginManager, PluginManifest
from npe2.manifest.utils import import_python_name

from m2aenet_core.data.samples import SAMPLES
from napari_m2aenet.sample_data import sample_layers
from napari_m2aenet.settings import DEVICE, ENSEMBLE, ENSEMBLES, MODEL, SCALE, SCALES, THRESHOLD


@pytest.fixture
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution("napari-m2aenet")


def test_the_manifest_is_valid() -> None:
    path = files("napari_m2aenet").joinpath("napari.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "npe2", "validate", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_napari_finds_the_plugin() -> None:
    manager = PluginManager()
    manager.discover()
    assert "napari-m2aenet" in manager


def test_every_command_leads_to_something_that_can_be_called(manifest: PluginManifest) -> None:
    manifest.validate_imports()
    commands = manifest.contributions.commands or []
    assert len(commands) >= 3
    for command in commands:
        assert callable(import_python_name(str(command.python_name))), command.id
        assert command.title[0].isupper()


def test_every_menu_is_one_that_napari_lets_plugins_add_to(manifest: PluginManifest) -> None:
    menus = manifest.contributions.menus
    assert set(menus) == {"napari/layers/filter", "napari/layers/segment", "napari/layers/visualize"}
    assert set(menus) <= {menu.value for menu in MenuId.contributables()}


def test_the_preferences_page_starts_with_the_defaults_of_the_settings(manifest: PluginManifest) -> None:
    configurations = getattr(manifest.contributions, "configurations", None)
    if configurations is None:
        pytest.skip("npe2 knows preferences pages since napari 0.9")
    page = dict(configurations)["start"]
    defaults = {name: entry.default for name, entry in page.properties.items()}
    assert defaults == {setting.name: setting.default for setting in (MODEL, DEVICE, SCALE, ENSEMBLE, THRESHOLD)}
    assert page.properties["scale"].enum == list(SCALES)
    assert page.properties["ensemble"].enum == list(ENSEMBLES)
    threshold = page.properties["threshold"]
    assert (threshold.minimum, threshold.maximum) == (THRESHOLD.minimum, THRESHOLD.maximum)


def test_the_writer_takes_a_whole_result_and_only_where_a_record_is_asked_for(manifest: PluginManifest) -> None:
    (writer,) = manifest.contributions.writers or []
    assert writer.layer_types == ["image+", "labels*", "vectors*"]
    assert writer.filename_extensions == [".json"]  # so that plain pictures are left to napari


def test_the_widget_is_called_as_the_menu_promises(manifest: PluginManifest) -> None:
    assert [widget.display_name for widget in manifest.contributions.widgets or []] == ["Local motion deblur"]


def test_each_sample_of_the_menu_is_one_of_the_core(manifest: PluginManifest) -> None:
    keys = [sample.key for sample in manifest.contributions.sample_data or []]
    assert len(keys) >= 2
    assert set(keys) <= set(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_opens_the_blurred_photo_and_hides_its_truth(name: str) -> None:
    (blur, shown, kind), *truth = sample_layers(name)
    assert (kind, shown.get("visible", True)) == ("image", True)
    assert [(kind, keywords["visible"]) for _, keywords, kind in truth] == [("image", False), ("labels", False)]
    sharp, mask = truth[0][0], truth[1][0].astype(bool)
    changed = (blur != sharp).any(axis=2)
    assert 0.01 < mask.mean() < 0.6
    assert changed[mask].mean() > 0.5  # flat places stay the same under blur
    difference = np.abs(blur[~mask].astype(int) - sharp[~mask]).max(axis=1)
    assert (difference > 8).mean() < 0.01


def loaded_by(statement: str) -> set[str]:
    watched = (
        "torch",
        "matplotlib",
        "lightning",
        "lightning_fabric",
        "torchmetrics",
        "scipy",
        "skimage",
        "napari",
        "qtpy",
    )
    code = f"import sys\n{statement}\nprint(*(set({watched!r}) & set(sys.modules)))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "",
        ".settings",
        ".session",
        ".source",
        ".placement",
        ".layer_data",
        ".jobs",
        ".models",
        ".sample_data",
        ".demo",
        ".examining",
        ".folder",
        ".frames",
        ".repeating",
        ".result_writer",
        ".widgets.record_reader",
    ],
)
def test_what_needs_no_window_loads_neither_torch_nor_napari(module: str) -> None:
    assert loaded_by(f"import napari_m2aenet{module}") == set()


def test_the_dock_widget_can_be_imported_without_torch() -> None:
    loaded = loaded_by("import napari_m2aenet.widgets.main")
    assert "napari" in loaded
    assert not loaded & {"torch", "matplotlib", "lightning_fabric", "torchmetrics"}
