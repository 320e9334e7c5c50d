"""Which files belong together, in every layout that is met."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from m2aenet_core.data.pairs import LAYOUTS, Pair, describe_pairs, has_masks_in, read_pairs
from m2aenet_core.errors import InputError

Tree = Callable[[Sequence[str]], Path]
Row = tuple[str, str, str, str | None]

RELOBLUR = [
    f"dataset/{split}/{scene}/00/{number}_{kind}.png"
    for split, scene in (("train", "s01"), ("train", "s02"), ("test", "s01"))
    for number in ("00", "01")
    for kind in ("blur", "sharp")
]
RELOBLUR_TRAIN = [f"{scene}/00/{number}" for scene in ("s01", "s02") for number in ("00", "01")]
GOPRO = [
    f"{split}/GOPR0{scene}_07_00/{kind}/00004{number}.png"
    for split, scene in (("train", 372), ("train", 374), ("test", 384))
    for kind in ("blur", "blur_gamma", "sharp")
    for number in (7, 8)
]


def masks_of(folder: str, splits: Sequence[str] = ("train", "test"), suffix: str = ".png") -> list[str]:
    scenes = {"train": ("s01", "s02"), "test": ("s01",)}
    return [
        f"{folder}/{split}/{scene}/00/{number}{suffix}"
        for split in splits
        for scene in scenes[split]
        for number in ("00", "01")
    ]


def rows_of(root: Path, pairs: Sequence[Pair]) -> list[Row]:
    def below(path: Path) -> str:
        return Path(os.path.relpath(path, root)).as_posix()

    return [(pair.name, below(pair.blur), below(pair.sharp), pair.mask and below(pair.mask)) for pair in pairs]


def reloblur_rows(masks: str, suffix: str = ".png") -> list[Row]:
    return [
        (name, f"dataset/train/{name}_blur.png", f"dataset/train/{name}_sharp.png", f"{masks}/train/{name}{suffix}")
        for name in RELOBLUR_TRAIN
    ]


@pytest.mark.parametrize("folder", ["masks", "mask", "mask_v1", "maskv1", "Local Blur Mask", "blur_mask"])
def test_reloblur_finds_its_masks_whatever_their_folder_is_called(tree: Tree, folder: str) -> None:
    root = tree(RELOBLUR + masks_of(folder))
    assert rows_of(root, read_pairs(root)) == reloblur_rows(folder)


@pytest.mark.parametrize("given", ["dataset", "dataset/train"])
def test_reloblur_may_be_given_by_its_dataset_folder_or_its_split(tree: Tree, given: str) -> None:
    root = tree(RELOBLUR + masks_of("masks"))
    assert rows_of(root, read_pairs(root / given)) == reloblur_rows("masks")


def test_reloblur_lies_one_folder_down_as_in_its_own_project(tree: Tree) -> None:
    root = tree([f"data/{name}" for name in RELOBLUR + masks_of("masks")])
    assert [row[3] for row in rows_of(root / "data", read_pairs(root))] == [row[3] for row in reloblur_rows("masks")]


def test_a_split_given_by_its_folder_takes_the_masks_of_that_split(tree: Tree) -> None:
    root = tree(RELOBLUR + masks_of("masks"))
    (first, *_) = read_pairs(root / "dataset" / "test", split="train")
    assert first.mask == root / "masks" / "test" / "s01" / "00" / "00.png"


def test_masks_may_be_jpeg_and_may_lie_without_a_split(tree: Tree) -> None:
    root = tree(RELOBLUR + masks_of("masks", suffix=".jpg"))
    assert rows_of(root, read_pairs(root)) == reloblur_rows("masks", ".jpg")
    root = tree([f"other/{name}" for name in RELOBLUR] + [f"other/masks/{name}.png" for name in RELOBLUR_TRAIN])
    assert [row[3] for row in rows_of(root, read_pairs(root / "other"))] == [
        f"other/masks/{name}.png" for name in RELOBLUR_TRAIN
    ]


@pytest.mark.parametrize("name", ["{}_mask.png", "{}.png", "mask/{}.png"])
def test_masks_may_lie_beside_the_photos(tree: Tree, name: str) -> None:
    folders = {"s01/00": ("00", "01"), "s02/00": ("00",)}
    photos = [f"{at}/{number}_{kind}.png" for at in folders for number in folders[at] for kind in ("blur", "sharp")]
    masks = [f"{at}/{name.format(number)}" for at in folders for number in folders[at]]
    root = tree([f"train/{path}" for path in photos + masks])
    assert [row[3] for row in rows_of(root / "train", read_pairs(root))] == masks


def test_two_folders_of_masks_have_to_be_chosen_from(tree: Tree) -> None:
    root = tree(RELOBLUR + masks_of("masks") + masks_of("mask_v1"))
    with pytest.raises(InputError, match="are both the mask of s01/00/00; name the folder of masks to use"):
        read_pairs(root)
    with pytest.raises(InputError, match="name the folder of masks to use"):
        read_pairs(root / "dataset")
    assert rows_of(root, read_pairs(root, masks="mask_v1")) == reloblur_rows("mask_v1")
    assert rows_of(root, read_pairs(root / "dataset", masks=root / "masks")) == reloblur_rows("masks")


def test_a_chosen_folder_of_masks_may_have_any_name(tree: Tree) -> None:
    root = tree(RELOBLUR + masks_of("masks") + masks_of("by_hand"))
    assert rows_of(root, read_pairs(root, masks="by_hand")) == reloblur_rows("by_hand")


def test_a_chosen_folder_that_has_no_masks_for_the_set_is_named(tree: Tree) -> None:
    root = tree([*RELOBLUR, "by_hand/elsewhere/9.png"])
    with pytest.raises(InputError, match=r"no mask in .*by_hand has the name of a photo"):
        read_pairs(root, masks="by_hand")
    with pytest.raises(InputError, match="there is no folder of masks"):
        read_pairs(root, masks="gone")


def test_masks_that_were_chosen_are_a_sets_if_they_lie_in_it_or_have_its_names(tree: Tree) -> None:
    relo = [f"relo/{name}" for name in RELOBLUR + masks_of("by_hand")]
    root = tree([*relo, *(f"gopro/{name}" for name in GOPRO), *masks_of("apart", ["test"])])
    assert has_masks_in(root / "relo", "by_hand")
    assert has_masks_in(root / "relo", root / "relo" / "by_hand")
    assert has_masks_in(root / "relo", root / "apart")
    for masks in ("by_hand", root / "apart", root / "relo" / "by_hand"):
        assert not has_masks_in(root / "gopro", masks)


def test_a_missing_mask_comes_with_the_path_where_it_should_be(tree: Tree) -> None:
    masks = masks_of("mask_v1")
    root = tree(RELOBLUR + [mask for mask in masks if mask != "mask_v1/train/s02/00/00.png"])
    assert rows_of(root, read_pairs(root)) == reloblur_rows("mask_v1")


def test_reloblur_without_masks_is_read_and_said_to_be_without(tree: Tree) -> None:
    pairs = read_pairs(tree(RELOBLUR))
    assert {pair.mask for pair in pairs} == {None}
    assert describe_pairs(pairs) == "4 pairs, 0 with masks; without one, the whole photo counts as blurred"


@pytest.mark.parametrize("kind", ["blur", "blur_gamma"])
def test_gopro_gives_the_blur_that_was_chosen(tree: Tree, kind: str) -> None:
    root = tree(GOPRO)
    assert rows_of(root, read_pairs(root, blur=kind)) == [  # type: ignore[arg-type]
        (f"{scene}/{number}", f"train/{scene}/{kind}/{number}.png", f"train/{scene}/sharp/{number}.png", None)
        for scene in ("GOPR0372_07_00", "GOPR0374_07_00")
        for number in ("000047", "000048")
    ]


def test_each_split_has_its_own_pairs(tree: Tree) -> None:
    root = tree(GOPRO)
    assert [pair.name for pair in read_pairs(root, split="test")] == ["GOPR0384_07_00/000047", "GOPR0384_07_00/000048"]
    assert [pair.name for pair in read_pairs(root / "test")] == ["GOPR0384_07_00/000047", "GOPR0384_07_00/000048"]


def test_a_split_that_is_not_there_is_named_with_those_that_are(tree: Tree) -> None:
    with pytest.raises(InputError, match="holds test and train but no val; choose one of these"):
        read_pairs(tree(GOPRO), split="val")


@pytest.mark.parametrize(("blur", "sharp"), [("blur", "sharp"), ("input", "target"), ("Blur", "GT")])
@pytest.mark.parametrize("above", ["", "train/", "GoPro/train/"])
def test_flattened_folders_are_pairs_with_a_split_above_or_without(
    tree: Tree, above: str, blur: str, sharp: str
) -> None:
    root = tree([f"{above}{kind}/GOPR1_{number}.png" for kind in (blur, sharp) for number in (1, 2)])
    pairs = read_pairs(root)
    assert [(pair.blur, pair.sharp, pair.mask) for pair in pairs] == [
        (root / f"{above}{blur}/GOPR1_{number}.png", root / f"{above}{sharp}/GOPR1_{number}.png", None)
        for number in (1, 2)
    ]


def test_scenes_may_lie_below_the_two_folders_and_above_them(tree: Tree) -> None:
    names = [f"park/{kind}/noon/{number}.png" for kind in ("blur", "sharp", "mask") for number in ("1", "2")]
    root = tree([*names, *(name.replace("park", "sea/north") for name in names)])
    pairs = read_pairs(root)
    assert [pair.name for pair in pairs] == ["park/noon/1", "park/noon/2", "sea/north/noon/1", "sea/north/noon/2"]
    assert pairs[3] == Pair(
        root / "sea/north/blur/noon/2.png",
        root / "sea/north/sharp/noon/2.png",
        root / "sea/north/mask/noon/2.png",
        "sea/north/noon/2",
    )


def test_partners_need_not_have_the_same_format_or_the_same_end_of_the_name(tree: Tree) -> None:
    root = tree(["RealBlur_J/scene001/blur/blur_1.png", "RealBlur_J/scene001/gt/gt_1.jpg"])
    assert rows_of(root, read_pairs(root)) == [
        (
            "RealBlur_J/scene001/1",
            "RealBlur_J/scene001/blur/blur_1.png",
            "RealBlur_J/scene001/gt/gt_1.jpg",
            None,
        )
    ]


def test_in_folders_of_their_own_photos_may_have_any_name(tree: Tree) -> None:
    names = ["a", "a_blur", "a_mask", "blur", "no_sharp"]
    root = tree([f"{kind}/{name}.png" for kind in ("blur", "sharp", "mask") for name in names])
    assert rows_of(root, read_pairs(root)) == [
        (name, f"blur/{name}.png", f"sharp/{name}.png", f"mask/{name}.png") for name in names
    ]


@pytest.mark.parametrize("ends", [("_blur", "_sharp", "_mask"), ("", "_gt", ""), ("_blur", "_blur", "_blur")])
def test_in_folders_of_their_own_photos_may_have_ends_too(tree: Tree, ends: tuple[str, str, str]) -> None:
    folders = ("blur", "sharp", "masks")
    root = tree([f"{folder}/a{end}.png" for folder, end in zip(folders, ends, strict=True)])
    assert [row[1:] for row in rows_of(root, read_pairs(root))] == [
        tuple(f"{folder}/a{end}.png" for folder, end in zip(folders, ends, strict=True))
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("a_blur.png", "a_sharp.png", "a_mask.png"),
        ("a-blur.jpg", "a-sharp.jpg", "a-mask.png"),
        ("blur_a.png", "sharp_a.png", "mask_a.png"),
        ("a/blur.png", "a/sharp.png", "a/mask.png"),
    ],
)
def test_the_names_ends_tell_what_lies_beside_each_other(tree: Tree, names: tuple[str, str, str]) -> None:
    root = tree(names)
    assert rows_of(root, read_pairs(root)) == [("a", *names)]


def test_a_missing_partner_is_expected_where_the_others_have_theirs(tree: Tree) -> None:
    folders = tree([f"{scene}/{kind}/{n}.png" for scene in "ab" for kind in ("blur", "sharp") for n in (1, 2)])
    (folders / "b/sharp/2.png").unlink()
    (folders / "a/blur/1.png").unlink()
    pairs = {pair.name: pair for pair in read_pairs(folders)}
    assert pairs["b/2"].sharp == folders / "b/sharp/2.png"
    assert pairs["a/1"].blur == folders / "a/blur/1.png"


def test_a_missing_partner_beside_is_expected_with_the_end_of_the_others(tree: Tree) -> None:
    root = tree(["1_blur.png", "1_sharp.png", "2_blur.png"])
    assert [pair.sharp.name for pair in read_pairs(root)] == ["1_sharp.png", "2_sharp.png"]


def test_lmdvits_arrays_are_pairs_of_one_file(tree: Tree) -> None:
    root = tree(["0001.npy", "0002.npy"])
    files = [root / "0001.npy", root / "0002.npy"]
    assert read_pairs(root, split="test") == [Pair(file, file, file, file.stem) for file in files]


def test_arrays_beside_photos_are_no_pairs(tree: Tree) -> None:
    root = tree(["a_blur.png", "a_sharp.png", "a_start.npy"])
    assert [pair.blur.name for pair in read_pairs(root)] == ["a_blur.png"]


def test_what_systems_and_people_leave_in_folders_is_passed_over(tree: Tree) -> None:
    root = tree(["blur/1.png", "sharp/1.png", "blur/._1.png", "__MACOSX/blur/2.png", "blur/Thumbs.db", "preview.png"])
    assert [pair.name for pair in read_pairs(root)] == ["1"]


def test_linked_folders_are_read_and_circles_are_left(tree: Tree, tmp_path: Path) -> None:
    root = tree(["disk/blur/1.png", "disk/sharp/1.png"])
    link = tmp_path / "set"
    link.mkdir()
    (link / "scene").symlink_to(root / "disk", target_is_directory=True)
    (root / "disk" / "up").symlink_to(link, target_is_directory=True)
    assert [pair.name for pair in read_pairs(link)] == ["scene/1"]


def test_two_photos_for_one_place_are_named(tree: Tree) -> None:
    with pytest.raises(InputError, match=r"1\.jpg and .*1\.png are both the blurred photo of 1; keep one"):
        read_pairs(tree(["blur/1.png", "blur/1.jpg", "sharp/1.png"]))


@pytest.mark.parametrize("names", [["a.png", "b/c.jpg"], ["blur/1.png", "mask/1.png"], ["sharp/1.png"], ["notes.txt"]])
def test_a_folder_in_no_layout_is_told_all_layouts(tree: Tree, names: list[str]) -> None:
    root = tree(names)
    with pytest.raises(InputError) as caught:
        read_pairs(root)
    assert str(caught.value) == f"{root} holds no pairs in a layout that is known; these are:\n{LAYOUTS}"
    for word in ("ReLoBlur", "GOPRO_Large", "LMD-ViT", "{input,target}", "NAME_mask.png"):
        assert word in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone is not a folder; give a folder of pairs"):
        read_pairs(tmp_path / "gone")
