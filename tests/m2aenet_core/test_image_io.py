"""Photos come back from files, and go into them, with depth, alpha, orientation, profile and EXIF."""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import ExifTags, Image, ImageCms

from m2aenet_core.errors import InputError
from m2aenet_core.image_io import Photo, read_image, upright, write_image

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION = 0x0112


def random_samples(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    if dtype.startswith("float"):
        return generator.random(shape).astype(dtype)
    return generator.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def camera_exif(orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Artist] = "someone"
    exif[ORIENTATION] = orientation
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.ExposureTime: 0.05,
        ExifTags.Base.DateTimeOriginal: "2020:02:03 04:05:06",
        ExifTags.Base.ExifImageWidth: 40,
        ExifTags.Base.ExifImageHeight: 30,
        ExifTags.Base.MakerNote: bytes(range(200)),
    }
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitude: (1.0, 2.0, 3.0)}
    return exif


def exif_in(path: Path) -> Image.Exif:
    with Image.open(path) as image:
        exif = image.getexif()
        exif.get_ifd(ExifTags.IFD.Exif)
        exif.get_ifd(ExifTags.IFD.GPSInfo)
        return exif


LOSSLESS = [
    ("a.png", "uint8", (30, 40)),
    ("a.png", "uint8", (30, 40, 3)),
    ("a.png", "uint8", (30, 40, 4)),
    ("a.png", "uint16", (30, 40)),
    ("a.png", "uint16", (30, 40, 3)),
    ("a.png", "uint16", (30, 40, 4)),
    ("a.png", "uint16", (1, 1, 3)),
    ("a.png", "uint8", (1, 1)),
    ("a.bmp", "uint8", (30, 40)),
    ("a.bmp", "uint8", (30, 40, 3)),
    *[
        ("a.tif", dtype, shape)
        for dtype in ("uint8", "uint16", "float32", "float64", "int16")
        for shape in ((30, 40), (30, 40, 3), (30, 40, 4), (1, 1, 3), (3, 4), (4, 3, 3))
    ],
]


@pytest.mark.parametrize(("name", "dtype", "shape"), LOSSLESS)
def test_pixels_survive_writing_and_reading(tmp_path: Path, name: str, dtype: str, shape: tuple[int, ...]) -> None:
    pixels = random_samples(shape, dtype)
    write_image(tmp_path / name, pixels)
    photo = read_image(tmp_path / name)
    assert photo.pixels.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(photo.pixels, pixels)


def test_colour_png_of_16_bits_is_what_libpng_says(tmp_path: Path) -> None:
    pixels = random_samples((30, 40, 3), "uint16")
    write_image(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(imagecodecs.png_decode((tmp_path / "a.png").read_bytes()), pixels)
    with Image.open(tmp_path / "a.png") as image:  # a second reader accepts the file too
        image.load()
        np.testing.assert_allclose(np.asarray(image), pixels >> 8, atol=1)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_with_alpha_is_a_grey_photo_and_keeps_its_alpha(tmp_path: Path, dtype: str, suffix: str) -> None:
    samples = random_samples((30, 40, 2), dtype)
    source = tmp_path / f"source{suffix}"
    if suffix == ".png":
        source.write_bytes(imagecodecs.png_encode(samples))
    else:
        tifffile.imwrite(source, samples, photometric="minisblack", extrasamples=["unassalpha"])
    photo = read_image(source)
    np.testing.assert_array_equal(photo.pixels, samples[..., 0])
    write_image(tmp_path / f"copy{suffix}", 7 + 0 * photo.pixels, like=photo)
    again = read_image(tmp_path / f"copy{suffix}")
    np.testing.assert_array_equal(again.pixels, 7 + 0 * photo.pixels)
    np.testing.assert_array_equal(again.grey_alpha, samples[..., 1])


def test_a_palette_becomes_rgb_and_a_transparent_one_rgba(tmp_path: Path) -> None:
    image = Image.fromarray(skimage.data.astronaut()[:40, :40]).quantize(16)
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "clear.png", transparency=3)
    np.testing.assert_array_equal(read_image(tmp_path / "plain.png").pixels, np.asarray(image.convert("RGB")))
    clear = read_image(tmp_path / "clear.png").pixels
    assert clear.shape == (40, 40, 4)
    np.testing.assert_array_equal(clear[..., 3] == 0, np.asarray(image) == 3)


def test_black_and_white_becomes_grey(tmp_path: Path) -> None:
    bits = random_samples((30, 40), "uint8") > 99
    Image.fromarray(bits).save(tmp_path / "bits.png")
    tifffile.imwrite(tmp_path / "bits.tif", bits, photometric="minisblack")
    for name in ("bits.png", "bits.tif"):
        np.testing.assert_array_equal(read_image(tmp_path / name).pixels, bits.astype(np.uint8) * 255)


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb_of_the_same_colours(tmp_path: Path, suffix: str) -> None:
    rgb = Image.new("RGB", (16, 16), (200, 40, 90))
    rgb.convert("CMYK").save(tmp_path / f"cmyk{suffix}")
    photo = read_image(tmp_path / f"cmyk{suffix}")
    np.testing.assert_allclose(photo.pixels[8, 8].astype(int), (200, 40, 90), atol=3)
    assert photo.icc_profile is None


def test_a_palette_in_a_tiff_becomes_rgb(tmp_path: Path) -> None:
    image = Image.fromarray(skimage.data.astronaut()[:40, :40]).quantize(16)
    image.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, np.asarray(image.convert("RGB")))


def test_a_tiff_that_counts_from_white_comes_with_black_as_zero(tmp_path: Path) -> None:
    samples = random_samples((30, 40), "uint16")
    tifffile.imwrite(tmp_path / "a.tif", 65535 - samples, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, samples)


def test_what_is_opaque_is_so_in_a_tiff_that_counts_from_white(tmp_path: Path) -> None:
    samples, alpha = random_samples((30, 40), "uint8"), random_samples((30, 40), "uint8", seed=1)
    stored = np.stack([255 - samples, alpha], axis=2)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", extrasamples=["unassalpha"])
    photo = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.pixels, samples)
    np.testing.assert_array_equal(photo.grey_alpha, alpha)


def packed_tiff(values: np.ndarray, bits: int, photometric: int) -> bytes:
    """A TIFF of grey samples (H, W) with `bits` each, which no writer at hand makes; W is a multiple of 8."""
    digits = "".join(format(value, f"0{bits}b") for value in values.ravel().tolist())
    data = int(digits, 2).to_bytes(len(digits) // 8, "big")
    height, width = values.shape
    entries = {
        256: width,
        257: height,
        258: bits,
        259: 1,
        262: photometric,
        273: 8,
        277: 1,
        278: height,
        279: len(data),
    }
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries.items())
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(entries)) + directory + b"\0" * 4


@pytest.mark.parametrize(("bits", "dtype"), [(2, "uint8"), (4, "uint8"), (10, "uint16"), (12, "uint16")])
@pytest.mark.parametrize("counts_from_white", [False, True])
def test_samples_of_few_bits_are_as_bright_as_they_were(
    tmp_path: Path, bits: int, dtype: str, counts_from_white: bool
) -> None:
    top, full = 2**bits - 1, np.iinfo(dtype).max
    values = np.linspace(0, top, 64).round().astype(int).reshape(4, 16)
    stored = top - values if counts_from_white else values
    (tmp_path / "a.tif").write_bytes(packed_tiff(stored, bits, 0 if counts_from_white else 1))
    pixels = read_image(tmp_path / "a.tif").pixels
    assert pixels.dtype == np.dtype(dtype)
    assert (pixels[0, 0], pixels[-1, -1]) == (0, full)
    np.testing.assert_allclose(pixels, values * (full / top), atol=0.5)


@pytest.mark.parametrize("unit", [2, 3])
def test_the_resolution_of_a_tiff_follows_into_a_png(tmp_path: Path, unit: int) -> None:
    per_inch = 300 if unit == 2 else 762
    tifffile.imwrite(tmp_path / "a.tif", random_samples((30, 40), "uint8"), resolution=(300, 300), resolutionunit=unit)
    photo = read_image(tmp_path / "a.tif")
    write_image(tmp_path / "a.png", photo.pixels, like=photo)
    with Image.open(tmp_path / "a.png") as image:
        assert image.info["dpi"] == pytest.approx((per_inch, per_inch), abs=0.1)
    tifffile.imwrite(tmp_path / "b.tif", random_samples((30, 40), "uint8"))
    assert read_image(tmp_path / "b.tif").stored.dpi is None


@pytest.mark.parametrize("mode", ["P", "CMYK"])
def test_a_tiff_that_pillow_converts_keeps_its_exif_and_is_upright(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(skimage.data.astronaut()[:30, :40]).convert(mode)
    image.save(tmp_path / "a.tif", tiffinfo={ExifTags.Base.Make: "Maker", ORIENTATION: 6}, dpi=(300, 300))
    photo = read_image(tmp_path / "a.tif")
    assert photo.pixels.shape == (40, 30, 3)
    write_image(tmp_path / "b.tif", photo.pixels, like=photo)
    assert exif_in(tmp_path / "b.tif")[ExifTags.Base.Make] == "Maker"
    again = read_image(tmp_path / "b.tif")
    np.testing.assert_array_equal(again.pixels, photo.pixels)
    assert again.stored.dpi == (300, 300)


@pytest.mark.parametrize("is_preview_first", [False, True])
def test_a_preview_in_a_tiff_with_a_palette_does_not_count(tmp_path: Path, is_preview_first: bool) -> None:
    samples, colours = random_samples((32, 40), "uint8"), random_samples((3, 256), "uint16")
    pages = [(samples, 0), (samples[::4, ::4], 1)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page, subfile_type in reversed(pages) if is_preview_first else pages:
            writer.write(page, photometric="palette", colormap=colours, subfiletype=subfile_type)
    np.testing.assert_allclose(read_image(tmp_path / "a.tif").pixels, (colours >> 8)[:, samples].transpose(1, 2, 0))


@pytest.mark.parametrize("compression", ["none", "lzw", "adobe_deflate", "zstd", "packbits"])
def test_a_tiff_keeps_its_compression(tmp_path: Path, compression: str) -> None:
    pixels = np.tile(np.arange(200, dtype=np.uint16), (100, 1))
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", compression=compression)
    photo = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.pixels, pixels)
    write_image(tmp_path / "b.tif", photo.pixels, like=photo)
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert tifffile.COMPRESSION(tiff.pages[0].compression).name.lower() == compression
        np.testing.assert_array_equal(tiff.pages[0].asarray(), pixels)


def test_planar_big_endian_and_jpeg_tiffs_are_read(tmp_path: Path) -> None:
    pixels = random_samples((30, 40, 3), "uint16")
    planes = np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(tmp_path / "planar.tif", planes, photometric="rgb", planarconfig="separate", byteorder=">")
    np.testing.assert_array_equal(read_image(tmp_path / "planar.tif").pixels, pixels)
    smooth = skimage.data.astronaut()
    tifffile.imwrite(
        tmp_path / "jpeg.tif", smooth, photometric="rgb", compression="jpeg", compressionargs={"level": 95}
    )
    read = read_image(tmp_path / "jpeg.tif").pixels
    assert np.abs(read.astype(float) - smooth).mean() < 3


def test_a_jpeg_is_written_finely(tmp_path: Path) -> None:
    pixels = skimage.data.astronaut()
    Image.fromarray(pixels).save(tmp_path / "coarse.jpg", quality=60)
    photo = read_image(tmp_path / "coarse.jpg")
    write_image(tmp_path / "fine.jpg", pixels, like=photo)
    error = read_image(tmp_path / "fine.jpg").pixels.astype(float) - pixels
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 40
    with Image.open(tmp_path / "fine.jpg") as image:
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}  # colour is not halved


def test_a_jpeg_finer_than_ours_keeps_its_tables(tmp_path: Path) -> None:
    Image.fromarray(skimage.data.astronaut()).save(tmp_path / "a.jpg", quality=98)
    photo = read_image(tmp_path / "a.jpg")
    write_image(tmp_path / "b.jpg", photo.pixels, like=photo)
    with Image.open(tmp_path / "a.jpg") as a, Image.open(tmp_path / "b.jpg") as b:
        assert a.quantization == b.quantization


@pytest.mark.parametrize("profile", [None, SRGB])
def test_a_lossless_webp_stays_lossless_and_keeps_alpha(tmp_path: Path, profile: bytes | None) -> None:
    pixels = random_samples((30, 40, 4), "uint8")
    Image.fromarray(pixels).save(tmp_path / "a.webp", lossless=True, exact=True, icc_profile=profile)
    photo = read_image(tmp_path / "a.webp")
    write_image(tmp_path / "b.webp", photo.pixels, like=photo)
    np.testing.assert_array_equal(read_image(tmp_path / "b.webp").pixels, pixels)


def test_a_lossy_webp_is_written_finely(tmp_path: Path) -> None:
    pixels = skimage.data.astronaut()
    Image.fromarray(pixels).save(tmp_path / "a.webp", quality=90)
    photo = read_image(tmp_path / "a.webp")
    write_image(tmp_path / "b.webp", photo.pixels, like=photo)
    assert np.abs(read_image(tmp_path / "b.webp").pixels.astype(float) - photo.pixels).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_as_pillow_turns_it(orientation: int) -> None:
    from PIL import ImageOps

    samples = random_samples((5, 7, 3), "uint8")
    image = Image.fromarray(samples)
    image.getexif()[ORIENTATION] = orientation
    np.testing.assert_array_equal(upright(samples, orientation), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize(("orientation", "dpi"), [(1, (300, 150)), (3, (300, 150)), (6, (150, 300))])
def test_the_resolution_turns_with_the_photo(tmp_path: Path, orientation: int, dpi: tuple[int, int]) -> None:
    stored, exif = Image.fromarray(skimage.data.astronaut()[:30, :40]), Image.Exif()
    exif[ORIENTATION] = orientation
    stored.save(tmp_path / "a.png", exif=exif, dpi=(300, 150))
    photo = read_image(tmp_path / "a.png")
    write_image(tmp_path / "b.png", photo.pixels, like=photo)
    with Image.open(tmp_path / "b.png") as image:
        assert image.info["dpi"] == pytest.approx(dpi, abs=0.1)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_orientation_is_applied_and_the_rest_of_exif_and_profile_kept(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    stored = Image.fromarray(skimage.data.astronaut()[:30, :40])
    source, copy = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    stored.save(source, exif=camera_exif(orientation).tobytes(), icc_profile=SRGB)
    photo = read_image(source)
    assert photo.pixels.shape == ((40, 30, 3) if orientation == 6 else (30, 40, 3))
    write_image(copy, photo.pixels, like=photo)
    assert read_image(copy).pixels.shape == photo.pixels.shape
    exif = exif_in(copy)
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    assert exif.get(ORIENTATION, 1) == 1
    assert exif[ExifTags.Base.Make] == "Maker"
    assert exif[ExifTags.Base.Artist] == "someone"
    assert float(camera[ExifTags.Base.ExposureTime]) == pytest.approx(0.05)
    assert camera[ExifTags.Base.MakerNote] == bytes(range(200))
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (1.0, 2.0, 3.0)
    height, width = photo.pixels.shape[:2]
    assert (camera[ExifTags.Base.ExifImageWidth], camera[ExifTags.Base.ExifImageHeight]) == (width, height)
    with Image.open(copy) as image:
        assert image.info["icc_profile"] == SRGB


@pytest.mark.parametrize("source_suffix", [".jpg", ".png", ".tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("target_suffix", [".png", ".tif"])
def test_exif_and_profile_follow_into_another_format_and_depth(
    tmp_path: Path, source_suffix: str, dtype: str, target_suffix: str
) -> None:
    source, copy = tmp_path / f"a{source_suffix}", tmp_path / f"b{target_suffix}"
    Image.new("RGB", (40, 30), (9, 99, 199)).save(
        source, exif=camera_exif().tobytes(), icc_profile=SRGB, dpi=(300, 300)
    )
    photo = read_image(source)
    pixels = photo.pixels.astype(dtype)
    write_image(copy, pixels, like=photo)
    again = read_image(copy)
    assert again.icc_profile == SRGB
    np.testing.assert_array_equal(again.pixels, pixels)
    exif = exif_in(copy)
    assert exif[ExifTags.Base.Make] == "Maker"
    assert exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2020:02:03 04:05:06"
    assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (1.0, 2.0, 3.0)


def test_a_big_endian_exif_follows_into_a_tiff(tmp_path: Path) -> None:
    exif = camera_exif()
    exif.endian = ">"
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif)
    photo = read_image(tmp_path / "a.jpg")
    assert photo.exif is not None
    assert photo.exif.startswith(b"MM")
    write_image(tmp_path / "b.tif", random_samples((30, 40, 3), "uint16"), like=photo)
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif").pixels, random_samples((30, 40, 3), "uint16"))
    assert exif_in(tmp_path / "b.tif").get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] == bytes(range(200))


def test_the_thumbnail_of_the_unrestored_photo_does_not_stay(tmp_path: Path) -> None:
    with_thumbnail = io.BytesIO()
    Image.new("RGB", (160, 120), (255, 0, 0)).save(with_thumbnail, "JPEG")
    # a first directory with the orientation alone, then a second with the thumbnail
    thumbnail = with_thumbnail.getvalue()
    entries = b"\x01\x00" + b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00" + (26).to_bytes(4, "little")
    second = b"\x02\x00" + b"\x01\x02\x04\x00\x01\x00\x00\x00" + (56).to_bytes(4, "little")
    second += b"\x02\x02\x04\x00\x01\x00\x00\x00" + len(thumbnail).to_bytes(4, "little") + b"\0\0\0\0"
    exif = b"II*\0\x08\0\0\0" + entries + second + thumbnail
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + exif)
    with Image.open(tmp_path / "a.jpg") as image:
        assert ExifTags.Base.JpegIFOffset in image.getexif().get_ifd(ExifTags.IFD.IFD1)
    photo = read_image(tmp_path / "a.jpg")
    assert photo.pixels.shape == (40, 30, 3)
    write_image(tmp_path / "b.jpg", photo.pixels, like=photo)
    with Image.open(tmp_path / "b.jpg") as image:
        assert not image.getexif().get_ifd(ExifTags.IFD.IFD1)
        assert image.getexif()[ORIENTATION] == 1


def test_malformed_exif_does_not_cost_the_photo(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\0\0nonsense")
    photo = read_image(tmp_path / "a.jpg")
    assert photo.exif is None
    assert photo.pixels.shape == (30, 40, 3)


def test_the_first_picture_of_a_telephones_pair_is_read(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (40, 30), (200, 0, 0)), Image.new("RGB", (40, 30), (0, 0, 200))
    first.save(tmp_path / "pair.jpg", format="MPO", save_all=True, append_images=[second], quality=95)
    photo = read_image(tmp_path / "pair.jpg")
    assert photo.format == "JPEG"
    assert photo.pixels[15, 20, 0] > 190


def damaged(tmp_path: Path, suffix: str, dtype: str, keep: float) -> Path:
    whole = tmp_path / f"whole{suffix}"
    write_image(whole, random_samples((64, 64, 3), dtype))
    content = whole.read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(content[: int(keep * len(content))])
    return path


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.95])
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        (".jpg", "uint8"),
        (".png", "uint8"),
        (".png", "uint16"),
        (".tif", "uint16"),
        (".webp", "uint8"),
        (".bmp", "uint8"),
    ],
)
def test_a_truncated_file_gets_a_sentence_that_names_it(tmp_path: Path, suffix: str, dtype: str, keep: float) -> None:
    path = damaged(tmp_path, suffix, dtype, keep)
    with pytest.raises(InputError, match=rf"{path.name} (is damaged or cut short|is not a JPEG, PNG)"):
        read_image(path)


def test_a_flipped_byte_in_a_png_gets_a_sentence(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", random_samples((64, 64, 3), "uint8"))
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[len(content) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png is damaged or cut short"):
        read_image(tmp_path / "a.png")


def test_what_is_no_photo_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("a shopping list")
    (tmp_path / "empty.png").touch()
    frames = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in (1, 200)]
    frames[0].save(tmp_path / "moving.webp", save_all=True, append_images=frames[1:])
    tifffile.imwrite(tmp_path / "stack.tif", np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    tifffile.imwrite(
        tmp_path / "bands.tif", np.zeros((8, 8, 6), np.uint8), planarconfig="contig", photometric="minisblack"
    )
    tifffile.imwrite(tmp_path / "complex.tif", np.zeros((8, 8), np.complex64))
    sentences = {
        "missing.jpg": "does not exist; check its name",
        "text.jpg": "is not a JPEG, PNG, TIFF, WebP or BMP image; save it as one of these",
        "empty.png": r"is empty \(0 bytes\)",
        "moving.webp": "holds 2 frames, and a photo has one",
        "stack.tif": "holds 3 pages, and a photo has one",
        "bands.tif": "has 6 channels; keep one",
        "complex.tif": "holds complex64 numbers",
        ".": "is a folder and not an image",
    }
    for name, sentence in sentences.items():
        with pytest.raises(InputError, match=sentence):
            read_image(tmp_path / name)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_small_file_that_claims_to_be_huge_gets_a_sentence(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"huge{suffix}"
    Image.new("1", (20_000, 20_000)).save(path, **({"compression": "group4"} if suffix == ".tif" else {}))
    assert path.stat().st_size < 10**7
    with pytest.raises(InputError, match="has more than 178 megapixels; cut it into smaller photos"):
        read_image(path)


def test_a_format_that_cannot_hold_the_pixels_says_which_can(tmp_path: Path) -> None:
    cases = [
        ("a.jpg", random_samples((4, 4, 3), "uint16"), "cannot hold uint16 pixels; write them as PNG or TIFF"),
        ("a.png", random_samples((4, 4, 3), "float32"), "cannot hold float32 pixels; write them as TIFF"),
        ("a.jpg", random_samples((4, 4, 4), "uint8"), "cannot hold transparency; write it as PNG or TIFF"),
        ("a.bmp", random_samples((4, 4, 4), "uint8"), "cannot hold transparency; write it as PNG or TIFF"),
        ("a.webp", np.zeros((4, 16_400, 3), np.uint8), "cannot be written as WEBP"),
        ("a.xyz", random_samples((4, 4, 3), "uint8"), "does not end like an image file"),
    ]
    for name, pixels, sentence in cases:
        with pytest.raises(InputError, match=sentence):
            write_image(tmp_path / name, pixels)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    target = tmp_path / "a.png"
    write_image(target, np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match=r"a\.png exists"):
        write_image(target, np.ones((4, 4), np.uint8))
    assert read_image(target).pixels.max() == 0
    write_image(target, np.ones((4, 4), np.uint8), overwrite=True)
    assert read_image(target).pixels.min() == 1


def test_a_single_channel_axis_is_written_as_grey(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", random_samples((5, 6, 1), "uint8"))
    photo = read_image(tmp_path / "a.png")
    assert isinstance(photo, Photo)
    np.testing.assert_array_equal(photo.pixels, random_samples((5, 6, 1), "uint8")[..., 0])
