"""Which files of a folder belong together: the blurred photo, its sharp partner and the mask.

One rule reads every layout that is met. A word in a file's path, a folder (`blur`, `sharp`, `input`, `target`, `gt`,
`masks`) or one end of the name (`03_blur.png`), tells what the file is; a folder called `train` or `test` tells its
split; what is left of the path is the pair's name, and files of one name belong together.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from m2aenet_core.data.folder import IMAGE_SUFFIXES, walk_files
from m2aenet_core.errors import InputError

LAYOUTS = """\
  dataset/{train,test}/sXX/NN/MM_blur.png and MM_sharp.png, with masks/{train,test}/sXX/NN/MM.png (ReLoBlur)
  {train,test}/SCENE/{blur,blur_gamma,sharp}/NNNNNN.png (GOPRO_Large)
  {blur,sharp}/NAME.png or {input,target}/NAME.png, perhaps with mask/NAME.png, in scene folders or not
  NAME_blur.png and NAME_sharp.png, perhaps with NAME_mask.png, beside each other
  NAME.npy with img_blur, img_gt and blur_mask (LMD-ViT)"""

_BLUR_WORDS = frozenset({"blur", "blurred", "blurry", "input"})
_SHARP_WORDS = frozenset({"sharp", "target", "gt"})
_WORDS = _BLUR_WORDS | _SHARP_WORDS | {"mask"}
_STEM = re.compile(
    rf"(?P<before>(?:{'|'.join(_WORDS)})[_-])?(?P<core>.+?)(?P<after>[_-](?:{'|'.join(_WORDS)}))?", re.IGNORECASE
)
# masks, mask_v1, maskv2, blur_mask, Local Blur Mask
_MASK_FOLDER = re.compile(r"(local[ _-])?(blur[ _-])?masks?([ _-]\w+|v?\d+)?", re.IGNORECASE)
_WRAPPER = "dataset"  # ReLoBlur's images lie in it, its masks beside it
_SPLIT_OF_FOLDER = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
_SPLIT_DEPTH = 3

Role = Literal["blur", "sharp", "mask", "unwanted"]
Key = tuple[str, ...]


class NoPairsError(InputError):
    """A folder holds no pairs of a split, or none in any known layout."""


class NoMasksError(InputError):
    """The folder of masks that was named is not there, or is another set's."""


class Pair(NamedTuple):
    """Files of one photo; those of a broken set may be missing, which `check_pairs` tells.

    mask is None where the whole photo counts as blurred. In LMD-ViT's form all three are the same .npy file.
    """

    blur: Path
    sharp: Path
    mask: Path | None
    name: str


class _File(NamedTuple):
    """A file and what its path says; removed: the folders that are no part of the key, and their places."""

    path: Path
    role: Role | None
    split: str | None
    key: Key
    removed: tuple[tuple[int, str], ...]
    affixes: tuple[str, str]


def read_pairs(
    root: str | Path,
    split: str = "train",
    blur: Literal["blur", "blur_gamma"] = "blur",
    masks: str | Path | None = None,
) -> list[Pair]:
    """Give the pairs below a folder, sorted by name, whatever the layout (`LAYOUTS`).

    A photo whose partner is missing comes with the path at which the partner was expected. Where no photo of the set
    has a mask, as in GoPro, everything counts as blurred; where some have one, the others' masks are missing.

    Args:
        root: the folder of the set, of its `dataset` or of one split; masks are then looked for beside it too.
        split: train, test or val; of no meaning where the folder has no such folders.
        blur: which of GOPRO_Large's two: `blur` (linear averages, what the papers use) or `blur_gamma`.
        masks: the folder of masks, by its name inside `root` or by its path, where there are several.

    Raises:
        NoPairsError: no such layout or split.
        NoMasksError: no such folder of masks, or none of its masks has the name of a photo.
        InputError: no such folder, or two files for one place.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder; give a folder of pairs")
    blur_words = frozenset({"blur_gamma"}) if blur == "blur_gamma" else _BLUR_WORDS
    files = [_told_by_path(root, path, blur_words) for path in walk_files(root)]
    images = [file for file in files if file.path.suffix.lower() in IMAGE_SUFFIXES]
    photos = _of_split(root, [file for file in images if file.role in ("blur", "sharp")], split)
    blurs, sharps = _by_key(photos, "blur"), _by_key(photos, "sharp")
    if not blurs.keys() & sharps.keys():  # blur/blur_1.png and gt/gt_1.png
        photos = [_shortened(file) for file in photos]
        blurs, sharps = _by_key(photos, "blur"), _by_key(photos, "sharp")
    if blurs and sharps:
        return _paired(blurs, sharps, _masks(root, images, blurs, split, masks))
    samples = _of_split(root, [file for file in files if file.path.suffix.lower() == ".npy"], split)
    if not samples:
        raise NoPairsError(f"{root} holds no pairs in a layout that is known; these are:\n{LAYOUTS}")
    return [Pair(file.path, file.path, file.path, _name(file.key)) for file in samples]


def has_masks_in(root: str | Path, masks: str | Path, blur: Literal["blur", "blur_gamma"] = "blur") -> bool:
    """Say whether a folder of masks is that of a set: it lies in the set, or has masks for photos of one of its splits.

    Raises InputError as `read_pairs`, except for what the set does not hold.
    """
    folder = _folder_of_masks(Path(root), masks)
    if folder is None or Path(root).resolve() in folder.resolve().parents:
        return folder is not None
    for split in dict.fromkeys(_SPLIT_OF_FOLDER.values()):
        try:
            pairs = read_pairs(root, split, blur, masks)
        except (NoPairsError, NoMasksError):
            continue
        if any(pair.mask is not None and folder in pair.mask.parents for pair in pairs):
            return True
    return False


def _folder_of_masks(root: Path, masks: str | Path) -> Path | None:
    return next((path for path in (root / masks, Path(masks)) if path.is_dir()), None)


def describe_pairs(pairs: Sequence[Pair]) -> str:
    """Say in a line how many pairs there are and what is known of their blur."""
    with_mask = sum(pair.mask is not None for pair in pairs)
    if with_mask == len(pairs):
        return f"{len(pairs)} pairs with masks"
    return f"{len(pairs)} pairs, {with_mask} with masks; without one, the whole photo counts as blurred"


def _told_by_path(root: Path, path: Path, blur_words: Collection[str]) -> _File:
    folders = path.relative_to(root).parts[:-1]
    split: str | None = None
    roles: set[Role] = set()
    removed = []
    for place, folder in enumerate(folders):
        role = _role_of_folder(folder, blur_words)
        if role:
            roles.add(role)
        elif split is None and place < _SPLIT_DEPTH and folder.lower() in _SPLIT_OF_FOLDER:
            split = _SPLIT_OF_FOLDER[folder.lower()]
        elif folder.lower() != _WRAPPER:
            continue
        removed.append((place, folder))
    # masks/blur/03.png is a mask, and blur_gamma/03_blur.png is in the folder that was not chosen
    order: tuple[Role, ...] = ("unwanted", "mask", "sharp", "blur")
    told = next((role for role in order if role in roles), None)
    places = {place for place, _ in removed}
    key = (*(folder for place, folder in enumerate(folders) if place not in places), path.stem)
    file = _File(path, told, split, key, tuple(removed), ("", ""))
    return file if told else _shortened(file)


def _shortened(file: _File) -> _File:
    """Give a file whose key lacks what the ends of its name tell; the role is theirs, if no folder has told it."""
    if any(file.affixes):
        return file
    before, core, after = _parts_of_stem(file.key[-1])
    role = file.role or _role_of_word(after or before)
    return file._replace(role=role, key=(*file.key[:-1], core), affixes=(before, after))


def _role_of_folder(folder: str, blur_words: Collection[str]) -> Role | None:
    word = folder.lower()
    if word in blur_words:
        return "blur"
    if word in _BLUR_WORDS or word == "blur_gamma":
        return "unwanted"
    return "mask" if _MASK_FOLDER.fullmatch(word) else _role_of_word(word)


def _role_of_word(affix: str) -> Role | None:
    word = affix.strip("_-").lower()
    if word == "mask":
        return "mask"
    return "blur" if word in _BLUR_WORDS else "sharp" if word in _SHARP_WORDS else None


def _parts_of_stem(stem: str) -> tuple[str, str, str]:
    if stem.lower() in _WORDS:  # scene/blur.png and scene/sharp.png
        return stem, "", ""
    match = _STEM.fullmatch(stem)
    return (match["before"] or "", match["core"], match["after"] or "") if match else ("", stem, "")


def _of_split(root: Path, files: Sequence[_File], split: str) -> list[_File]:
    splits = sorted({file.split for file in files if file.split})
    if splits and split not in splits:
        raise NoPairsError(f"{root} holds {' and '.join(splits)} but no {split}; choose one of these")
    return [file for file in files if not splits or file.split == split]


def _masks(
    root: Path, images: Sequence[_File], blurs: Mapping[Key, _File], split: str, masks: str | Path | None
) -> dict[Key, _File]:
    """Give the masks of a set: those of the folder that was named, else those inside it, else those beside it."""
    split = _SPLIT_OF_FOLDER.get(root.name.lower(), split)
    if masks is not None:
        folder = _folder_of_masks(root, masks)
        if folder is None:
            raise NoMasksError(f"there is no folder of masks at {root / masks} or {masks}; name another")
        named = _for_photos(_masks_in(folder, split), blurs)
        if not named.keys() & blurs.keys():
            raise NoMasksError(f"no mask in {folder} has the name of a photo in {root}; name another folder")
        return named
    inside = [file for file in images if file.role == "mask" and file.split in (None, split)]
    if inside:
        return _for_photos(inside, blurs)
    beside = _for_photos([mask for folder in _mask_folders_beside(root) for mask in _masks_in(folder, split)], blurs)
    # what lies beside may belong to another set
    return beside if beside.keys() & blurs.keys() else _unnamed_masks(images, blurs)


def _for_photos(masks: Sequence[_File], blurs: Mapping[Key, _File]) -> dict[Key, _File]:
    """Give masks by the keys of photos: by their whole names, or else without what the names' ends tell."""
    if not any(mask.key in blurs for mask in masks):
        masks = [_shortened(mask) for mask in masks]
    return _by_key(masks, "mask")


def _masks_in(folder: Path, split: str) -> list[_File]:
    files = [_told_by_path(folder, path, _BLUR_WORDS) for path in walk_files(folder)]
    return [
        file._replace(role="mask")
        for file in files
        if file.path.suffix.lower() in IMAGE_SUFFIXES and file.split in (None, split)
    ]


def _mask_folders_beside(root: Path) -> list[Path]:
    """Give the folders of masks next to a `dataset` or a split, and next to the folder that holds it."""
    root = root.resolve()
    if root.name.lower() != _WRAPPER and root.name.lower() not in _SPLIT_OF_FOLDER:
        return []
    return [
        folder
        for parent in (root.parent, root.parent.parent)
        for folder in sorted(parent.iterdir())
        if folder.is_dir() and _MASK_FOLDER.fullmatch(folder.name)
    ]


def _unnamed_masks(images: Iterable[_File], blurs: Mapping[Key, _File]) -> dict[Key, _File]:
    """Give masks that are called NAME.png beside NAME_blur.png."""
    return {
        file.key: file
        for file in images
        if file.role is None and file.key in blurs and file.path.parent == blurs[file.key].path.parent
    }


def _by_key(files: Iterable[_File], role: Role) -> dict[Key, _File]:
    found: dict[Key, _File] = {}
    for file in files:
        if file.role != role:
            continue
        if file.key in found:
            what = "mask" if role == "mask" else "blurred photo" if role == "blur" else "sharp photo"
            advice = "name the folder of masks to use" if role == "mask" else "keep one"
            raise InputError(
                f"{found[file.key].path} and {file.path} are both the {what} of {_name(file.key)}; {advice}"
            )
        found[file.key] = file
    return found


def _paired(blurs: dict[Key, _File], sharps: dict[Key, _File], masks: dict[Key, _File]) -> list[Pair]:
    keys = sorted(blurs.keys() | sharps.keys())
    return [
        Pair(_path(blurs, key), _path(sharps, key), _path(masks, key) if masks else None, _name(key)) for key in keys
    ]


def _path(files: Mapping[Key, _File], key: Key) -> Path:
    """Give the path of a file or, where it is missing, the path it would have as the first of its kind has it."""
    if key in files:
        return files[key].path
    example = next(iter(files.values()))
    root = example.path.parents[len(example.key) + len(example.removed) - 1]
    folders = list(key[:-1])
    for place, folder in example.removed:
        folders.insert(place, folder)
    before, after = example.affixes
    return root.joinpath(*folders, f"{before}{key[-1]}{after}{example.path.suffix}")


def _name(key: Key) -> str:
    return "/".join(part for part in key if part) or "pair"
