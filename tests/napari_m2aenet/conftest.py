"""Real networks, small enough to run in a blink, and two that behave badly on purpose."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from m2aenet_core import Analysis, Deblurrer, M2AENet, M2AENetConfig
from m2aenet_core.models.trajectory import Motion
from napari_m2aenet.models import OpenDeblurrer

WORKERS_MS = 300_000  # a busy machine is slow, not wrong


@pytest.fixture(scope="session")
def model(photo: np.ndarray) -> M2AENet:
    """A network without training whose blur probability varies over a photo, around one half."""
    torch.manual_seed(0)
    network = M2AENet(M2AENetConfig(width=4, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1)))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        decision = network.mask_predictors["3"].decide[-1]
        image = torch.from_numpy(photo).permute(2, 0, 1).unsqueeze(0) / 255
        blurred, sharp = network.eval().analyze(image).blur_logits.unbind(dim=1)
        decision.weight.mul_(2 / (blurred - sharp).std())
        blurred, sharp = network.analyze(image).blur_logits.unbind(dim=1)
        decision.bias[0] -= (blurred - sharp).median()
    return network.eval()


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A colour photo (96, 128, 3) uint8 with smooth and busy parts."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:96, :128]
    smooth = np.stack([y * 2, x * 2, 255 - y], axis=-1)
    busy = rng.integers(0, 256, (96, 128, 3)) * (x > 64)[..., None]
    return np.clip(smooth / 2 + busy / 2, 0, 255).astype(np.uint8)


@pytest.fixture
def open_tiny(model: M2AENet) -> OpenDeblurrer:
    return lambda name, device, ensemble: Deblurrer(model, device="cpu", ensemble=ensemble)


@pytest.fixture
def workers_ended(qtbot: Any) -> Iterator[None]:
    """No worker thread outlives the test. To be asked for after the viewer, which is closed after it."""
    from napari.qt.threading import FunctionWorker

    yield
    qtbot.waitUntil(lambda: not FunctionWorker._worker_set, timeout=WORKERS_MS)


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], workers_ended: None) -> Any:
    """A window of a small screen, shown."""
    shown = make_napari_viewer(show=True)
    shown.window.resize(1280, 800)
    return shown


@pytest.fixture
def no_more_files() -> Callable[[], AbstractContextManager[None]]:
    """A block in which the system opens no file for this process, while it still tells of those that are there."""
    resource = pytest.importorskip("resource", reason="limits of open files are a POSIX matter")

    @contextmanager
    def block() -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    return block


@pytest.fixture
def notifications() -> Iterator[list[str]]:
    """What napari showed in its notifications."""
    from napari.utils.notifications import notification_manager

    shown: list[str] = []

    def note(notification: Any) -> None:
        shown.append(notification.message)

    notification_manager.notification_ready.connect(note)
    yield shown
    notification_manager.notification_ready.disconnect(note)


class Gate:
    """Holds every analysis at its first step until `open` is called; `reached` tells that one waits there."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._opened = threading.Event()

    def open(self) -> None:
        self._opened.set()

    def wait(self, progress: Any) -> None:
        self.reached.set()
        while not self._opened.is_set():
            if progress is not None:
                progress(0, 4)
            time.sleep(0.01)


@pytest.fixture
def gate() -> Any:
    held = Gate()
    yield held
    held.open()


@pytest.fixture
def open_gated(model: M2AENet, gate: Gate) -> OpenDeblurrer:
    """The real thing, but each analysis waits at the gate, where it can be cancelled."""

    class GatedDeblurrer(Deblurrer):
        def analyze(self, image: np.ndarray, *, progress: Any = None, **rest: Any) -> Analysis:
            gate.wait(progress)
            return super().analyze(image, progress=progress, **rest)

    return lambda name, device, ensemble: GatedDeblurrer(model, device="cpu", ensemble=ensemble)


@pytest.fixture
def open_failing(model: M2AENet) -> OpenDeblurrer:
    """The real thing until the analysis, which ends with a fault of the program."""

    class FailingDeblurrer(Deblurrer):
        def analyze(self, image: np.ndarray, **rest: Any) -> Analysis:
            raise RuntimeError("the weights melted")

    return lambda name, device, ensemble: FailingDeblurrer(model, device="cpu", ensemble=ensemble)


@pytest.fixture
def open_moving(model: M2AENet) -> OpenDeblurrer:
    """The real thing, but for what it finds: RIGHT moved 12 pixels to the right, UP 8 pixels up, nothing else moved."""

    class MovingDeblurrer(Deblurrer):
        def analyze(self, image: np.ndarray, **rest: Any) -> Analysis:
            analysis = super().analyze(image, **rest)
            cell = analysis.padded_size[0] // analysis.coarse_probability.shape[-2]
            probability = torch.zeros_like(analysis.coarse_probability)
            field = torch.zeros_like(analysis.coarse_motion.field)
            for (rows, columns), end in ((RIGHT, (0, 6)), (UP, (-4, 0))):
                cells = np.s_[..., rows.start // cell : rows.stop // cell, columns.start // cell : columns.stop // cell]
                probability[cells] = 1
                for channel, length in enumerate((-end[0], -end[1], *end)):
                    field[:, channel][cells] = length / cell
            return replace(analysis, coarse_probability=probability, coarse_motion=Motion(field))

    return lambda name, device, ensemble: MovingDeblurrer(model, device="cpu", ensemble=ensemble)


RIGHT, UP = np.s_[16:64, 16:48], np.s_[16:64, 80:112]
