"""What a mask means, in words: how much is blurred, how much work that is, and what it saves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Meaning:
    """What is known of a mask.

    macs, whole: multiply-adds of restoring with it, and of restoring the whole frame; None where they are not known.
    seconds: about how long `macs` take, from what was measured. measured_s: what the restoration took, once it is done.
    """

    pixels: int
    total: int
    macs: int | None = None
    whole: int | None = None
    seconds: float | None = None
    measured_s: float | None = None

    def lines(self) -> tuple[str, str, str]:
        """Return three lines: the area, the multiply-adds, the seconds; empty where nothing is known."""
        return (
            f"{self.pixels / max(1, self.total):.1%}".replace("%", " %")
            + (f" of the photo is blurred: {self.pixels:,} pixels."),
            self._work(),
            self._time(),
        )

    def _work(self) -> str:
        if self.macs is None or not self.whole:
            return ""
        unit, name = (1e12, "T") if self.whole >= 1e12 else (1e9, "G")
        share = f"{self.macs / self.whole:.0%}".replace("%", " %")
        return f"About {self.macs / unit:.3g} of {self.whole / unit:.3g} {name} multiply-adds ({share})."

    def _time(self) -> str:
        if self.measured_s is not None:
            text = f"Restored in {_seconds(self.measured_s)}"
        elif self.seconds is not None:
            text = f"Takes about {_seconds(self.seconds)} to restore"
        else:
            return ""
        whole = self._whole_seconds()
        if whole is None:
            return f"{text}."
        saved = whole - (self.seconds if self.measured_s is None else self.measured_s)  # type: ignore[operator]
        text = f"{text}; the whole frame about {_seconds(whole)}"
        return f"{text}, so about {_seconds(saved)} are saved." if saved > 0 else f"{text}."

    def _whole_seconds(self) -> float | None:
        """About how long the whole frame takes, at the pace of what was measured."""
        if not self.macs or not self.whole or self.seconds is None:
            return None
        return self.seconds / self.macs * self.whole


def _seconds(seconds: float) -> str:
    if seconds >= 9.95:
        return f"{seconds:.0f} s"
    return f"{seconds:.1f} s" if seconds >= 0.95 else f"{seconds:.2g} s"
