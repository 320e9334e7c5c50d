"""All that decides a run, and what of it may change before the run goes on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from m2aenet_core.data.synthetic import MadeBlurConfig
from m2aenet_core.errors import InputError
from m2aenet_core.losses import LossConfig
from m2aenet_core.models.learning import Learning
from m2aenet_core.models.lmdvit import LMDViTConfig
from m2aenet_core.models.m2aenet import M2AENetConfig
from m2aenet_core.models.nafnet import NAFNetConfig
from m2aenet_core.options import to_yaml

NetworkKind = Literal["m2aenet", "nafnet", "lmdvit"]


@dataclass(frozen=True)
class TrainConfig:
    """All that decides a run."""

    out: str
    """Folder of the run; made if it is missing, resumed if it holds a run."""
    data: str | None = None
    """Folder of sharp photos to make blur on, sub-folders included."""
    pairs: tuple[str, ...] = ()
    """Folders of blurred and sharp photos: ReLoBlur, GOPRO_Large, or any folder of pairs; the layout is recognised."""
    shares: tuple[float, ...] = ()
    """How often samples come from made blur and from each folder of pairs, in this order; equally often without it."""
    cutouts: str | None = None
    """Folder of cut-out objects: RGBA images, or image/ beside alpha/ or mask/."""
    manifest: str | None = None
    """CSV file with the columns file and clear_licence; only rows marked yes are used."""
    masks: str | None = None
    """Folder of the pairs' masks, by its name inside each set or by its path, where a set has several."""
    gopro_blur: Literal["blur", "blur_gamma"] = "blur"
    """Which blurred photos of GOPRO_Large to use: averages of linear light, as published results do, or of sRGB."""
    blur_centred_share: float = 0.5
    """Share of the pairs' samples that are centred on a blurred pixel; the others may lie anywhere."""
    quarter_turns: bool = True
    """Whether the pairs' samples are turned by quarter turns as well as mirrored."""
    skip_bad: bool = False
    """Leave out photos and pairs that the check before the training finds fault with, instead of stopping."""
    validation: str | None = None
    """Folder of sharp photos to validate on; without it, training photos are used."""
    validation_pairs: tuple[str, ...] = ()
    """Folders of pairs to validate on; without it, the test split of `pairs`, or training pairs where it has none."""
    init_from: str | None = None
    """Weights to start from: a name, a .safetensors file, a run's folder, or a released .pth of NAFNet or LMD-ViT."""
    network: NetworkKind = "m2aenet"
    """Which network is trained; the setting of that name below gives its size and form."""
    model: M2AENetConfig = field(default_factory=M2AENetConfig)
    """The M2AENet."""
    nafnet: NAFNetConfig = field(default_factory=NAFNetConfig)
    """The NAFNet."""
    lmdvit: LMDViTConfig = field(default_factory=LMDViTConfig)
    """The LMD-ViT."""
    blur: MadeBlurConfig = field(default_factory=MadeBlurConfig)
    """The made blur it learns from; `blur.crop_px` is the size of all samples, those of pairs too."""
    loss: LossConfig = field(default_factory=LossConfig)
    """What it minimises."""
    learn: Learning = "all"
    """What learns: all; decisions (mask predictor, motion analyzer, their surroundings and, if they have one, their own
    encoder), motion (the analyzer and its own surroundings) or restoration (the last encoder stage and what follows)
    alone, which take less time; or motion_and_restoration, side by side, with masks that stay. Terms of the loss that
    cannot reach it are left out."""
    steps: int = 10_000
    """Optimisation steps of the whole run."""
    batch_size: int = 8
    """Samples of a step, over all devices."""
    accumulate: int = 1
    """Parts that a device takes its share of a step in, one after the other, where memory is short."""
    learning_rate: float = 1e-3
    """Highest learning rate; it falls along a cosine to final_learning_rate."""
    final_learning_rate: float = 1e-6
    """Learning rate of the last step."""
    warmup_steps: int = 0
    """Steps over which the learning rate rises from 0."""
    betas: tuple[float, float] = (0.9, 0.9)
    """AdamW's decay of the mean of the gradients and of their squares."""
    weight_decay: float = 1e-3
    """AdamW's weight decay."""
    clip_norm: float = 1.0
    """Gradients longer than this are scaled down; 0 leaves them."""
    ema: float = 0.999
    """Decay of the averaged weights, which are validated and saved."""
    seed: int = 0
    """Decides weights, samples and masks."""
    workers: int = 1
    """Processes that make samples ahead; a GPU renders made blur itself, unless there are several."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Kind of device."""
    devices: int = 1
    """Devices of a machine to share each batch between; on a CPU, processes (with OMP_NUM_THREADS=1, one per core)."""
    num_nodes: int = 1
    """Machines to share each batch between; `torchrun` and `fabric run` say so themselves."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Numbers to compute with; auto: bf16 or fp16 on GPUs that are quick with them, otherwise float32."""
    validate_every: int = 500
    """Steps between validations and previews."""
    validation_samples: int = 32
    """Samples of a validation."""
    save_every: int = 250
    """Steps between checkpoints."""
    log_every: int = 50
    """Steps between points in TensorBoard, means of the steps since the last."""
    max_time_s: float = math.inf
    """Seconds after which the run stops, to be resumed later."""

    @property
    def network_config(self) -> Any:
        """Size and form of the network that is trained."""
        return {"m2aenet": self.model, "nafnet": self.nafnet, "lmdvit": self.lmdvit}[self.network]


# What may be another one when a run goes on. All else would make the run something that no config describes.
_MAY_CHANGE = frozenset(
    {
        *("out", "data", "pairs", "cutouts", "manifest", "masks", "validation", "validation_pairs", "skip_bad"),
        *("init_from", "steps", "accumulate", "workers", "accelerator", "devices", "num_nodes", "precision"),
        *("validate_every", "validation_samples", "save_every", "log_every", "max_time_s"),
    }
)


# what the loss is the sum of; the first are of the restored image
_OF_RESTORED = ("l1", "ssim", "fft", "log_error")
_OF_MOTION = ("reblur", "displacement", "path")
_TERMS = (*_OF_RESTORED, "mask", "reblur", "total_variation", "displacement", "path")
# the window of SSIM is eleven pixels wide
_SMALLEST_CROP_PX = 16
# both ends of the exposure and its middle
_FEWEST_INSTANTS = 3


def check_config(config: TrainConfig) -> None:
    """Raise InputError for settings that cannot be trained with."""
    if config.data is None and not config.pairs:
        raise InputError("there is nothing to train on; give --data with sharp photos, --pairs with pairs, or both")
    sources = (config.data is not None) + len(config.pairs)
    if config.shares and len(config.shares) != sources:
        raise InputError(f"there are {len(config.shares)} shares for {sources} sources of samples; give one for each")
    for name in ("steps", "batch_size", "accumulate", "devices", "num_nodes", "validate_every", "save_every"):
        if getattr(config, name) < 1:
            raise InputError(f"{name} is {getattr(config, name)}; give at least 1")
    if config.learn != "all" and config.network != "m2aenet":
        raise InputError(f"a {config.network} cannot learn in parts; give --learn all")
    if min(config.log_every, config.validation_samples) < 1:
        raise InputError("log_every and validation_samples must be at least 1")
    if not 0 <= config.seed < 1 << 63:
        raise InputError(f"seed is {config.seed}; give 0 or more, below 2^63")
    if config.workers < 0:
        raise InputError(f"workers is {config.workers}; give 0 or more")
    if not config.learning_rate >= 0:
        raise InputError(f"learning_rate is {config.learning_rate}; give 0 or more")
    if not all(0 <= beta < 1 for beta in config.betas):
        raise InputError(f"betas are {config.betas}; give two numbers from 0 to less than 1")
    if config.blur.crop_px < _SMALLEST_CROP_PX:
        raise InputError(f"blur.crop_px is {config.blur.crop_px}; give at least {_SMALLEST_CROP_PX}")
    if not 0 <= config.loss.shift_px < config.blur.crop_px:
        raise InputError(f"loss.shift_px is {config.loss.shift_px}; give 0 to less than blur.crop_px")
    if config.loss.instants < _FEWEST_INSTANTS:
        raise InputError(f"loss.instants is {config.loss.instants}; give at least {_FEWEST_INSTANTS}")
    if not any(getattr(config.loss, term) for term in _TERMS if _reaches(term, config)):
        terms = ", ".join(f"loss.{term}" for term in _TERMS if _reaches(term, config))
        raise InputError(f"there is nothing to minimise; give a weight to one of {terms}")
    for part, teaching in _taught(config).items():
        if not any(getattr(config.loss, term) for term in teaching if _reaches(term, config)):
            terms = ", ".join(f"loss.{term}" for term in teaching if _reaches(term, config))
            raise InputError(f"nothing teaches {part}; give a weight to one of {terms}, or another --learn")


def _taught(config: TrainConfig) -> dict[str, tuple[str, ...]]:
    """Give the terms that teach each part of a network that learns in parts."""
    teaching: dict[str, tuple[str, ...]] = {}
    if config.learn == "decisions" and config.model.use_mask:
        teaching["the masks"] = ("mask",)
    if config.learn in ("decisions", "motion", "motion_and_restoration") and config.model.use_motion:
        teaching["the motion"] = _OF_MOTION
    if config.learn == "motion_and_restoration":
        teaching["the restoration"] = _OF_RESTORED
    return teaching


def reaching_loss(config: TrainConfig) -> LossConfig:
    """Give the loss without the terms that do not reach what learns."""
    left_out: dict[str, Any] = {term: 0.0 for term in _TERMS if not _reaches(term, config)}
    return replace(config.loss, **left_out)


def _reaches(term: str, config: TrainConfig) -> bool:
    if term in _OF_RESTORED:
        return config.learn not in ("decisions", "motion")
    if config.network == "nafnet" or config.learn == "restoration":
        return False
    if term in ("displacement", "path") and config.data is None:
        return False  # pairs do not know how anything moved
    if config.network == "lmdvit":
        return term == "mask"
    return term != "mask" or config.learn in ("all", "decisions")


def check_resumable(folder: Path, config: TrainConfig) -> None:
    """Raise InputError that names the settings in which a run in a folder differs from a config.

    Settings that this version does not know, or did not know when the run began, count as equal.
    """
    path = folder / "config.yaml"
    if not path.is_file():
        return
    try:
        before = _relevant(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, ValueError, LookupError, AttributeError, TypeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as a run's settings; remove it, or choose another --out") from error
    now = _relevant(yaml.safe_load(to_yaml(config)))
    changes = [f"{name} was {before[name]}, is {now[name]}" for name in now if before.get(name, now[name]) != now[name]]
    if changes:
        raise InputError(
            f"{folder} holds a run with other settings ({'; '.join(changes)}); give those of {path}, or another --out"
        )


def _relevant(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give the settings that must not change, with dots in the names of inner ones."""
    configs = {"m2aenet": "model", "nafnet": "nafnet", "lmdvit": "lmdvit"}
    unused = set(configs.values()) - {configs[values.get("network", "m2aenet")]}
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict) and name not in unused:
            flat |= {f"{name}.{inner}": item for inner, item in value.items()}
        elif name not in _MAY_CHANGE | unused:
            flat[name] = value
    return flat
