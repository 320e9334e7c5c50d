"""What made blur looks like: every knob with its meaning."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from m2aenet_core.errors import InputError


@dataclass(frozen=True)
class MadeBlurConfig:
    """What made blur looks like."""

    crop_px: int = 128
    """Height and width of a sample."""
    path_px: tuple[float, float] = (4.0, 40.0)
    """Shortest and longest path of an object from start to end of the exposure, pixels."""
    object_px: tuple[int, int] = (48, 240)
    """Smallest and largest longer side of an object, pixels."""
    objects: int = 2
    """At most so many objects in a sample."""
    curvature: float = 0.25
    """Largest bend and speed-up: the quadratic part of a path as a share of its half length."""
    spin_deg: float = 6.0
    """Largest rotation from mid-exposure to either end, degrees."""
    growth: float = 0.03
    """Largest relative change of size from mid-exposure to either end."""
    quarter_turns: bool = True
    """Whether photos and objects are turned by quarter turns, beside being mirrored; photos to come are upright."""
    cutout_share: float = 0.3
    """Share of objects that are cut-outs, where there are any; the others are random shapes of photo."""
    same_photo_share: float = 0.0
    """Share of a crop's random shapes that are filled from the photo they move over; over whole photos, none are."""
    occluder_share: float = 0.0
    """Share of samples with a thing that stands still in front of what moves."""
    still_share: float = 0.1
    """Share of samples in which nothing moves: objects and camera stand still, and nothing is blurred."""
    in_place_share: float = 0.0
    """Share of samples with a part of the photo that moves within an outline that stands still: a wheel, water."""
    shake_share: float = 0.0
    """Share of the other samples in which the camera moves: half of them without objects, half under moving ones."""
    shake_px: tuple[float, float] = (2.0, 20.0)
    """Shortest and longest path of the whole frame when the camera moves, pixels."""
    shake_roll_deg: float = 0.7
    """Largest roll of the camera from mid-exposure to either end, degrees."""
    shake_zoom: float = 0.01
    """Largest relative change of the frame's size from mid-exposure to either end: the camera moves forward."""
    panning_share: float = 0.3
    """Share of samples with camera and objects moving in which the camera follows the objects, which are sharp then."""
    defocus_share: float = 0.0
    """Share of samples out of focus: the background wholly or in part, all of it, or the objects. It is not motion."""
    defocus_px: tuple[float, float] = (0.5, 6.0)
    """Smallest and largest radius of the disc that a point out of focus becomes, pixels."""
    highlight_share: float = 0.0
    """Share of samples with lights beyond what the sensor holds, which leave streaks."""
    encoded_share: float = 0.0
    """Share of samples averaged as encoded, each instant clipped, as sets made of video frames are; others as light."""
    few_frames_share: float = 0.0
    """Share of the encoded samples that are means of so few frames that edges are seen one by one."""
    few_frames: tuple[int, int] = (7, 15)
    """Fewest and most of these frames; odd numbers are drawn, as the sharp photo is the middle one."""
    soft_share: float = 0.0
    """Share of samples that are a little soft throughout, as enlarged or denoised pictures of phones are."""
    soft_px: tuple[float, float] = (0.3, 0.8)
    """Smallest and largest width (standard deviation) of that softness, pixels."""
    noise: float = 0.012
    """Largest standard deviation of the noise added after the exposure, of the range."""
    sensor_noise_share: float = 0.0
    """Share of samples whose noise is that of a sensor (shot and read noise in linear light), as strong at mid-grey."""
    tone_share: float = 0.0
    """Share of samples developed as cameras do: exposure, white balance, contrast, saturation, sharpening."""
    jpeg_share: float = 0.3
    """Share of samples whose blurred image went through JPEG."""
    jpeg_quality: tuple[int, int] = (80, 97)
    """Lowest and highest quality of JPEG, 1 to 100."""
    halved_colour_share: float = 0.0
    """Share of the compressed samples whose colour is stored at half the resolution (4:2:0)."""

    @classmethod
    def like_photos(cls) -> MadeBlurConfig:
        """Give the values whose samples come nearest to real photos with local blur, as compared by eye and figures."""
        return cls(
            path_px=(3.0, 44.0),
            object_px=(36, 400),
            objects=3,
            spin_deg=7.0,
            growth=0.05,
            quarter_turns=False,
            same_photo_share=0.4,
            occluder_share=0.1,
            still_share=0.2,
            shake_share=0.2,
            shake_px=(2.0, 28.0),
            shake_zoom=0.015,
            panning_share=0.4,
            defocus_share=0.25,
            highlight_share=0.12,
            soft_share=0.5,
            sensor_noise_share=0.5,
            tone_share=0.5,
            jpeg_share=0.5,
            jpeg_quality=(65, 97),
            halved_colour_share=0.7,
        )

    def __post_init__(self) -> None:
        """Raise InputError for what cannot be."""
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.name.endswith("_share") and not 0 <= value <= 1:
                raise InputError(f"{item.name} is {value}; give a share between 0 and 1")
            if isinstance(value, tuple) and not 0 <= value[0] <= value[1] < math.inf:
                raise InputError(f"{item.name} goes from {value[0]} to {value[1]}; give the smaller number first")
            if isinstance(value, float) and not 0 <= value < math.inf:
                raise InputError(f"{item.name} is {value}; give 0 or more")
        # at either end of the exposure all would have shrunk to nothing
        for name in ("growth", "shake_zoom"):
            if getattr(self, name) >= 1:
                raise InputError(f"{name} is {getattr(self, name)}; give less than 1")
        if self.objects < 1:
            raise InputError(f"objects is {self.objects}; give at least 1 (still_share makes sharp samples)")
        if self.object_px[0] < 2 or self.crop_px < 1:
            raise InputError("object_px starts at 2 pixels and crop_px at 1; give larger numbers")
        if self.few_frames[0] < 3:
            raise InputError(f"few_frames starts at {self.few_frames[0]}; give at least 3")
        if self.few_frames[0] == self.few_frames[1] and self.few_frames[0] % 2 == 0:
            raise InputError(f"few_frames is {self.few_frames[0]} alone; give a range that holds an odd number")
        if not 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100:
            raise InputError(f"jpeg_quality is {self.jpeg_quality}; give numbers between 1 and 100")
