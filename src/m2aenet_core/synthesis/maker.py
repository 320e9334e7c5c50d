"""Samples of a set, made one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from m2aenet_core.data.check import Kept, check_cutouts, check_photos, raise_or_skip
from m2aenet_core.data.draws import SampleDraw
from m2aenet_core.data.folder import Cutout, Pixels, cut_out, evenly_spread, find_cutouts, list_images, read_rgb
from m2aenet_core.data.sample import Batch
from m2aenet_core.data.synthetic import MadeBlur
from m2aenet_core.synthesis.config import SynthesizeConfig
from m2aenet_core.synthesis.set_folder import crop_place

_SPLITS = ("train", "test", "val")
# photos that objects are cut from, where every photo is a background in its turn
_TEXTURES = 64
_SMALLEST_PX = 64


class Place(NamedTuple):
    """Scene and take of a sample, from 0."""

    scene: int
    take: int


class Made(NamedTuple):
    """A sample, as a batch of one, and what was drawn for it."""

    sample: Batch
    record: dict[str, Any]


class SampleMaker:
    """Makes the samples of a set by their numbers: whole photos, each in its turn, or crops of photos at random."""

    def __init__(self, config: SynthesizeConfig, device: torch.device, *, show_progress: bool = False) -> None:
        """Check every file, so that none ends the work in its middle, and read what each sample may need.

        Raises InputError for folders that cannot be used, and for bad files unless `skip_bad`.
        """
        self.config, self.device = config, device
        photos = self._photos(show_progress)
        cutouts = self._cutouts(show_progress)
        self.paths, self.notes = photos.items, tuple(kept.note for kept in (photos, cutouts) if kept.note)
        self.count = len(self.paths) if config.samples is None else config.samples
        self._cutout_files = cutouts.items
        objects = cut_out(config.cutouts, cutouts.items) if config.cutouts else []
        textures = self.paths if config.crops else evenly_spread(self.paths, _TEXTURES)
        self._source = MadeBlur([self._read(path) for path in textures], objects, config.blur)

    def fingerprint(self) -> dict[str, Any]:
        """Give what stands for the pictures the set is made from: names and sizes of their files."""
        photos = {path.relative_to(self.config.photos).as_posix(): path.stat().st_size for path in self.paths}
        files = [path for each in self._cutout_files for path in each if path is not None]
        cutouts = {f"{path.parent.name}/{path.name}": path.stat().st_size for path in files}
        return {"photos": photos, "cutouts": cutouts}

    def place(self, number: int) -> Place:
        """Give where a sample belongs: the scene is its photo, or a hundred crops."""
        if self.config.crops:
            return Place(*crop_place(number))
        return Place(number % len(self.paths), number // len(self.paths))

    def make(self, number: int) -> Made:
        """Give a sample by its number."""
        rng = np.random.default_rng((self.config.seed, _SPLITS.index(self.config.split), number))
        if self.config.crops:
            draw = self._source.draw(rng)
            path, photo = self.paths[draw.background.picture], None
        else:
            path = self.paths[self.place(number).scene]
            photo = self._read(path)
            draw = self._source.draw(rng, (photo.shape[0], photo.shape[1]))
        sample = self._source.render([draw], self.device, photo)
        name = path.relative_to(self.config.photos).as_posix()
        return Made(sample, {"number": number + 1, "photo": name, **_drawn(draw), **_measured(sample)})

    def _photos(self, show_progress: bool) -> Kept[Path]:
        config = self.config
        paths = list_images(config.photos, config.manifest, without=config.out)
        return raise_or_skip(paths, check_photos(paths, _SMALLEST_PX, show_progress=show_progress), config.skip_bad)

    def _cutouts(self, show_progress: bool) -> Kept[Cutout]:
        config = self.config
        if config.cutouts is None:
            return Kept([], "")
        files = find_cutouts(config.cutouts, config.manifest, without=config.out)
        return raise_or_skip(files, check_cutouts(files, show_progress=show_progress), config.skip_bad)

    def _read(self, path: Path) -> Pixels:
        photo = read_rgb(path)
        height, width = photo.shape[:2]
        scale = self.config.longest_px / max(height, width) if self.config.longest_px else 1.0
        if scale >= 1:
            return photo
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))


def _drawn(draw: SampleDraw) -> dict[str, Any]:
    """Give what was drawn, in words and numbers for a table."""
    tone, jpeg, defocus = draw.tone, draw.jpeg, draw.defocus
    return {
        "height": draw.size[0],
        "width": draw.size[1],
        "instants": draw.instants,
        "objects": len(draw.objects),
        "cutouts": sum(each.shape is None for each in draw.objects),
        "moves_in_place": draw.in_place is not None,
        "camera_moves": draw.camera is not None,
        "camera_follows": any(each.is_followed for each in draw.objects),
        "is_encoded": draw.is_encoded,
        "background_defocus_px": round(defocus.radius, 2) if defocus else 0.0,
        "object_defocus_px": round(max((each.defocus_px for each in draw.objects), default=0.0), 2),
        "has_highlights": draw.highlights is not None,
        "softness_px": round(draw.softness_px, 2),
        "noise": round(draw.noise.deviation, 4),
        "is_sensor_noise": draw.noise.read is not None,
        "is_developed": tone is not None,
        "sharpening": round(tone.sharpening, 2) if tone else 0.0,
        "jpeg_quality": jpeg.quality if jpeg else None,
        "has_halved_colour": jpeg.halve_colour if jpeg else False,
    }


def _measured(sample: Batch) -> dict[str, Any]:
    """Give how much of a sample is blurred, and how far its points went."""
    lengths = (sample.end - sample.start).square().sum(dim=1, keepdim=True).sqrt()[sample.mask > 0.5]
    return {
        "blurred_share": round(sample.mask.mean().item(), 4),
        "mean_path_px": round(lengths.mean().item(), 2) if len(lengths) else 0.0,
        "longest_path_px": round(lengths.max().item(), 2) if len(lengths) else 0.0,
    }
