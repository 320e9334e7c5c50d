"""What a run learns from and what it is validated on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from m2aenet_core.data.check import Kept, check_cutouts, check_pairs, check_photos, raise_or_skip
from m2aenet_core.data.crops import CropConfig
from m2aenet_core.data.folder import Pixels, cut_out, find_cutouts, list_images, read_photos
from m2aenet_core.data.mixture import MixedSource
from m2aenet_core.data.pair_pixels import size_text
from m2aenet_core.data.pair_source import PairSource
from m2aenet_core.data.pairs import NoPairsError, Pair, describe_pairs, has_masks_in, read_pairs
from m2aenet_core.data.sample import Batch, Source
from m2aenet_core.data.synthetic import MadeBlur
from m2aenet_core.errors import InputError
from m2aenet_core.training.config import TrainConfig

# validation samples come from a seed of their own, so that they never repeat training samples
_VALIDATION_SEED = 20_240_713
# the first of these that a data set has is validated on
_HELD_OUT_SPLITS = ("val", "test")


class Sources(NamedTuple):
    """training, endless; validation, on the CPU; notes: a line on each source, for people."""

    training: Source
    validation: Batch
    notes: tuple[str, ...]


def make_sources(config: TrainConfig, *, cache_bytes: int | None = None, show_progress: bool = False) -> Sources:
    """Read what a run needs, after every file of it was checked.

    cache_bytes: memory for decoded pairs; None: half of what is free. What the check found is kept in the run's
    folder, so that files that have not changed are not read again.

    Raises InputError for folders without such files, and for bad files unless `skip_bad`.
    """
    return _Reader(config, cache_bytes, show_progress).sources()


class _Reader:
    """Reads and checks one folder after the other, and collects a note on each."""

    def __init__(self, config: TrainConfig, cache_bytes: int | None, show_progress: bool) -> None:
        self.config, self.cache_bytes, self.show_progress = config, cache_bytes, show_progress
        self.records = Path(config.out) / "checked"
        self.crops = CropConfig(config.blur.crop_px, config.blur_centred_share, config.quarter_turns)
        self.notes: list[str] = []
        self.masks = _masks_of_sets(config)

    def sources(self) -> Sources:
        config = self.config
        cutouts = self._cutouts(config.cutouts) if config.cutouts else []
        training: list[Source] = []
        if config.data is not None:
            training.append(self._made_blur("made blur", config.data, config.manifest, cutouts))
        training += [self._pairs("pairs", root, "train") for root in config.pairs]
        held_out = self._held_out(cutouts, training)
        validation = _mixed(held_out).batch(_VALIDATION_SEED, 0, config.validation_samples)
        return Sources(_mixed(training, config.shares), validation, tuple(self.notes))

    def _held_out(self, cutouts: Sequence[Pixels], training: Sequence[Source]) -> list[Source]:
        """Give what was asked to be validated on; without that, of each training source what it holds out."""
        config = self.config
        asked: list[Source] = []
        if config.validation:
            asked.append(self._made_blur("validation on made blur", config.validation, None, cutouts))
        asked += [self._pairs("validation pairs", root, self._split(root)) for root in config.validation_pairs]
        if asked:
            return asked
        own: list[Source] = list(training[: len(training) - len(config.pairs)])
        for root, source in zip(config.pairs, training[len(own) :], strict=True):
            split = self._split(root)
            own.append(source if split == "train" else self._pairs("validation pairs", root, split))
        return own

    def _cutouts(self, folder: str) -> list[Pixels]:
        files = find_cutouts(folder, self.config.manifest, without=self.config.out)
        problems = check_cutouts(files, self._record(), self.show_progress)
        kept = raise_or_skip(files, problems, self.config.skip_bad)
        cutouts = cut_out(folder, kept.items)
        self._note("cut-outs", folder, f"{len(cutouts)} cut-outs", kept)
        return cutouts

    def _made_blur(self, what: str, folder: str, manifest: str | None, cutouts: Sequence[Pixels]) -> MadeBlur:
        paths = list_images(folder, manifest, without=self.config.out)
        problems = check_photos(paths, 0, self._record(), self.show_progress)
        kept = raise_or_skip(paths, problems, self.config.skip_bad)
        photos = read_photos(kept.items)
        size_note = _enlarged(folder, photos, self.config.blur.crop_px)
        self._note(what, folder, f"{len(photos)} photos and {len(cutouts)} cut-outs{size_note}", kept)
        return MadeBlur(photos, cutouts, self.config.blur)

    def _pairs(self, what: str, root: str, split: str) -> PairSource:
        pairs = self._read_pairs(root, split)
        problems = check_pairs(pairs, self.crops.crop_px, self._record(), self.show_progress)
        kept = raise_or_skip(pairs, problems, self.config.skip_bad)
        self._note(what, f"{root} ({split} split, where it has splits)", describe_pairs(kept.items), kept)
        # each set has its part of the memory
        share = None if self.cache_bytes is None else self.cache_bytes // max(1, len(self.config.pairs))
        return PairSource(kept.items, self.crops, share)

    def _read_pairs(self, root: str, split: str) -> list[Pair]:
        return read_pairs(root, split, self.config.gopro_blur, self.masks[root])

    def _split(self, root: str) -> str:
        """Give the split of a data set to validate on; "train" where it holds nothing out."""
        # a folder without splits gives the same pairs whatever was asked for
        training = self._pairs_there_are(root, "train")
        others = (split for split in _HELD_OUT_SPLITS if self._pairs_there_are(root, split) not in ([], training))
        return next(others, "train")

    def _pairs_there_are(self, root: str, split: str) -> list[Pair]:
        try:
            return self._read_pairs(root, split)
        except NoPairsError:
            return []

    def _record(self) -> Path:
        return self.records / f"{len(self.notes)}.json"

    def _note(self, what: str, place: str, content: str, kept: Kept[Any]) -> None:
        self.notes.append(f"{what} from {place}: {content}" + (f"; {kept.note}" if kept.note else ""))


def _masks_of_sets(config: TrainConfig) -> dict[str, str | None]:
    """Give the folder of masks that each set is read with: a set that lacks the one that was named keeps its own."""
    roots = dict.fromkeys((*config.pairs, *config.validation_pairs))
    if config.masks is None:
        return roots
    having = {root for root in roots if has_masks_in(root, config.masks, config.gopro_blur)}
    # where none has it, reading the first says so
    return {root: config.masks if root in having or not having else None for root in roots}


def _enlarged(folder: str, photos: Sequence[Pixels], crop_px: int) -> str:
    """Give a note on photos that have to be enlarged for a crop, whose sharp truth is soft.

    Raises InputError where all would have to be.
    """
    small = sum(min(photo.shape[:2]) < crop_px for photo in photos)
    if small == len(photos):
        largest = max(photos, key=lambda photo: min(photo.shape[:2]))
        raise InputError(
            f"crop_px is {crop_px}, and no photo in {folder} is that large (the largest is "
            f"{size_text(largest.shape)}); choose a smaller crop_px or larger photos"
        )
    return f", {small} of them smaller than crops of {crop_px} pixels and enlarged for them" if small else ""


def _mixed(sources: Sequence[Source], shares: Sequence[float] = ()) -> Source:
    return sources[0] if len(sources) == 1 else MixedSource(sources, shares or None)
