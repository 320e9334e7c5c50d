"""The samples that published figures were measured on stay what they were."""

from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from m2aenet_core.data.sample import Batch
from m2aenet_core.data.whole_photos import WholePhotosConfig, blurred_photos

# of each sample: blurred pixels; their mean row and column; their mean displacement to the start, (y, x), and to the
# end; mean level of blur and of sharp inside, and their PSNR there
RECORDED = np.array(
    [
        [19136, 68.47, 68.21, 13.54, 12.83, -9.41, -11.44, 112.88, 104.56, 17.82],
        [20052, 89.93, 300.56, -6.58, 14.51, 9.2, -11.61, 101.68, 96.82, 20.15],
        [11769, 182.88, 293.68, -9.3, -2.0, 11.74, 0.38, 99.52, 94.33, 20.99],
        [25988, 174.99, 64.96, 4.27, -11.39, -9.6, 10.89, 117.17, 109.49, 18.75],
        [8146, 202.45, 294.29, 10.2, 7.28, -9.58, -14.6, 148.05, 136.96, 16.29],
        [15789, 86.17, 471.25, -7.33, 4.48, 5.8, -1.93, 112.41, 109.05, 21.59],
    ]
)


def tree(folder: Path) -> WholePhotosConfig:
    """Three photos and a cut-out, larger than any object, so that nothing is enlarged."""
    photos = {"a": skimage.data.astronaut()[:300, :360], "b": skimage.data.chelsea(), "c": skimage.data.coffee()[:330]}
    (folder / "photos").mkdir()
    (folder / "cutouts").mkdir()
    for name, pixels in photos.items():
        Image.fromarray(pixels).save(folder / "photos" / f"{name}.png")
    y, x = np.mgrid[-1:1:380j, -1:1:420j]
    alpha = np.clip((1 - np.hypot(y, x)) * 60, 0, 1) * 255
    Image.fromarray(np.dstack([skimage.data.astronaut()[60:440, 50:470], alpha.astype(np.uint8)])).save(
        folder / "cutouts" / "disc.png"
    )
    return WholePhotosConfig(data=str(folder / "photos"), cutouts=str(folder / "cutouts"), seed=5)


def figures(sample: Batch) -> list[float]:
    inside = sample.mask[0, 0].numpy() > 0.5
    rows, columns = np.nonzero(inside)
    blur, sharp, start, end = (tensor[0].numpy()[:, inside] for tensor in (sample.blur, sample.sharp, *sample[3:5]))
    psnr = -10 * np.log10(np.mean((blur - sharp) ** 2))
    return [
        float(inside.sum()),
        rows.mean(),
        columns.mean(),
        *start.mean(axis=1),
        *end.mean(axis=1),
        255 * blur.mean(),
        255 * sharp.mean(),
        psnr,
    ]


def test_a_seed_gives_the_samples_it_always_gave(tmp_path: Path) -> None:
    made = np.array([figures(blurred.sample) for blurred in blurred_photos(tree(tmp_path))])
    blurred, rows, columns, *motion, blur, sharp, psnr = RECORDED.T
    np.testing.assert_allclose(made[:, 0], blurred, rtol=1e-2)
    np.testing.assert_allclose(made[:, 1:3], np.array([rows, columns]).T, atol=0.3)
    np.testing.assert_allclose(made[:, 3:7], np.array(motion).T, atol=0.05)
    np.testing.assert_allclose(made[:, 7:9], np.array([blur, sharp]).T, atol=0.5)
    # those recorded had fewer instants, up to 1.7 pixels apart, which is a little less smooth
    np.testing.assert_allclose(made[:, 9], psnr, atol=0.12)
