"""Every setting of the window: its name, default, range and help, in this one place.

Nothing here needs Qt or napari, so tests, the session and the documentation read the same values as the window shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from m2aenet_core.working_scale import Scale

T = TypeVar("T")


@dataclass(frozen=True)
class Setting(Generic[T]):
    """One thing a person can set: `label` and `help` are what the window shows."""

    name: str
    label: str
    default: T
    help: str


@dataclass(frozen=True)
class Range(Setting[float]):
    """A number between `minimum` and `maximum`, moved in steps of `step`, written with `decimals` digits."""

    minimum: float = 0.0
    maximum: float = 1.0
    step: float = 0.01
    decimals: int = 2

    def check(self, value: float) -> float:
        """Return `value`; ValueError outside the range (NaN included)."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{self.name} is {value}; choose a number from {self.minimum:g} to {self.maximum:g}")
        return value


THRESHOLD = Range(
    name="threshold",
    label="Threshold ε",
    default=0.5,
    help=(
        "A pixel counts as blurred where its blur probability is above ε. Lower ε: more of the photo is treated as "
        "blurred. The mask changes while you drag; the restored photo and the trajectories follow when you stop."
    ),
)

MODEL = Setting(
    name="model",
    label="Model",
    default="default",
    help="The trained weights: full restores more than small and takes twice as long. By default full on "
    "an NVIDIA GPU, small elsewhere. Choose a .safetensors file to use your own.",
)

DEVICE = Setting(
    name="device",
    label="Device",
    default="auto",
    help="Where the network runs. Automatic takes an NVIDIA GPU, then an Apple GPU, then the CPU.",
)

SCALE = Setting(
    name="scale",
    label="Work at",
    default="1",
    help=(
        "The working scale: the size at which the blur is found and taken away. Blur over some 40 pixels, as of a car "
        "in a large photo, is too long for the networks; at 1/2 or 1/4 it is not. What is sharp stays as it is. Auto "
        "looks how long the blur is. The photo that was run is run again."
    ),
)

SCALES = {"auto": "auto", "1": "1", "0.5": "1/2", "0.25": "1/4"}
"""The working scales to choose from, and how they are called."""

ENSEMBLE = Setting(
    name="ensemble",
    label="Copies",
    default="auto",
    help=(
        "Of how many turned copies of the photo the mean is taken. What the network gets wrong differs from copy to "
        "copy: two are better than one, and take twice as long. Auto: as many as the weights say. The photo that was "
        "run is run again."
    ),
)

ENSEMBLES = {"auto": "auto", "1": "1", "2": "2", "4": "4", "8": "8"}
"""The numbers of copies to choose from, and how they are called."""

WIPE_LINE = Setting(
    name="wipe_line",
    label="Line",
    default="upright",
    help="How the wipe line stands. Drag it over the photo, or move it here; the photo is left of it or above it.",
)

DIFFERENCE = Setting(
    name="difference",
    label="Difference",
    default="signed",
    help=(
        "Show restored − photo as a layer. Brighter and darker: red is brighter than before, blue darker. "
        "Size: how far the colour moved that moved most."
    ),
)

REFERENCE = Setting(
    name="reference",
    label="Reference",
    default="",
    help=(
        "A sharp picture of the same size to compare with: PSNR and SSIM of the photo and of the restored photo "
        "against it, in the whole photo, inside the blur mask and outside of it."
    ),
)

MASK_SOURCE = Setting(
    name="mask_source",
    label="Mask",
    default="threshold",
    help=(
        "What counts as blurred. From ε: where the blur probability is above ε. Painted: what you paint and erase in "
        "the layer “blur mask”. Another layer: what that layer marks. The other masks are kept; Undo brings them back."
    ),
)

MASK_LAYER = Setting(
    name="mask_layer",
    label="Layer",
    default="",
    help=(
        "A layer of the photo's size that says what is blurred: every label of a labels layer, or what is brighter "
        "than mid-grey in a grey image. When it changes, the photo is restored again."
    ),
)

SELECTION = Setting(
    name="selection",
    label="Only inside a selection",
    default="",
    help="Restore only inside a part of the photo that you draw. The rest stays as it was taken.",
)

HISTOGRAM = Setting(
    name="histogram",
    label="Histogram of the blur probability",
    default="",
    help="Drag the line to move ε. What is right of it counts as blurred. Heights are logarithms of pixel counts.",
)

TRAIN_DATA = Setting(
    name="train_data",
    label="Learn from",
    default="",
    help=(
        "A folder of sharp photos, on which blur is made, or of pairs: blur/NAME.png beside sharp/NAME.png, perhaps "
        "with mask/NAME.png, GoPro, ReLoBlur and other layouts."
    ),
)

RECIPE = Setting(
    name="recipe",
    label="Recipe",
    default="small",
    help="Which network, on what blur, for how long. “debug” takes seconds and shows whether everything runs.",
)

TRAIN_OUT = Setting(
    name="train_out",
    label="Run folder",
    default="",
    help=(
        "Where the run keeps figures, checkpoints and weights. Choose the folder of an earlier run to see it, to "
        "follow it while it runs, or to go on with it."
    ),
)

START_FROM = Setting(
    name="start_from",
    label="Start from",
    default="new",
    help="New weights, or those of the model chosen above, if it is of the recipe's size.",
)

TRAIN_STEPS = Setting(
    name="train_steps",
    label="Steps",
    default="",
    help="How many steps the whole run takes. More of them carry a finished run on.",
)

TRAIN_MORE = Setting(
    name="train_more",
    label="Options",
    default="",
    help="Further options as on the command line, such as --batch_size 4 --validation_pairs FOLDER.",
)

REST_MS = 300
"""The threshold has come to rest when it has not moved for this long: then the photo is restored again."""

PREVIEW_MS = 40
"""While the threshold moves, the mask is drawn at most once in this time."""

PROGRESS_MS = 100
"""The progress bar moves at most once in this time: more often would slow the run itself."""

TRAJECTORY_INSTANTS = 9
"""Instants of the exposure that a drawn trajectory joins."""

TRAJECTORY_SEGMENTS = 10_000
"""The most line segments that are drawn, so that panning and zooming stay smooth."""


@dataclass(frozen=True)
class Settings:
    """What a run is made with."""

    threshold: float = THRESHOLD.default
    model: str = MODEL.default
    device: str = DEVICE.default
    scale: Scale = 1.0
    ensemble: int | None = None

    def __post_init__(self) -> None:
        THRESHOLD.check(self.threshold)


def read_scale(text: str) -> Scale:
    """Return the working scale that a text names: "auto", or a share such as "0.5"."""
    return "auto" if text == "auto" else float(text)


def read_ensemble(text: str) -> int | None:
    """Return the number of copies that a text names; None for "auto"."""
    return None if text == "auto" else int(text)
