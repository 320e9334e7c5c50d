"""The tab that shows how pixels moved, the exposure as a film, and whether the result explains the photo."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from napari_m2aenet.curve_view import CurveGrid, curve_grid, seen_curves
from napari_m2aenet.jobs import Job
from napari_m2aenet.motion_jobs import SaveFilmJob
from napari_m2aenet.motion_layer_data import MotionRole
from napari_m2aenet.motion_session import MotionSession
from napari_m2aenet.session import sentence
from napari_m2aenet.widgets.film_controls import FilmControls
from napari_m2aenet.widgets.motion_colours import ColourControls
from napari_m2aenet.widgets.motion_layers import MotionLayers
from napari_m2aenet.widgets.newest import NewestRunner
from napari_m2aenet.widgets.notify import notify
from napari_m2aenet.widgets.panel import Panel
from napari_m2aenet.widgets.probe_desk import ProbeDesk
from napari_m2aenet.widgets.trust_controls import TrustControls
from napari_m2aenet.widgets.view_follower import ViewFollower

if TYPE_CHECKING:
    from napari_m2aenet.jobs import Analyzed, Restored
    from napari_m2aenet.motion_jobs import Checked, Film
    from napari_m2aenet.motion_wheel import Overview
    from napari_m2aenet.source import Source
    from napari_m2aenet.widgets.main import DeblurWidget


class MotionPanel(Panel):
    """Motion as colours and as curves, a probe, the exposure as a film, and the check of the result."""

    title = "Motion"
    help = "See how pixels moved, the exposure as a film, and whether the result explains the photo."

    def __init__(self, window: DeblurWidget) -> None:
        super().__init__(window)
        self.session = MotionSession()
        self.layers = MotionLayers(window.viewer, window.layers)
        self.colours = ColourControls()
        self.closer = QCheckBox("More curves when zoomed in")
        self.closer.setChecked(True)
        self.closer.setToolTip("Draws the trajectories closer together in the part of the photo that you look at.")
        self.probe = ProbeDesk(window.viewer, self.session, self.layers, self)
        self.film = FilmControls()
        self.trust = TrustControls()
        self.view = ViewFollower(window.viewer, self)
        self.colourer, self.filmer, self.checker = NewestRunner(self), NewestRunner(self), NewestRunner(self)
        self.writer = NewestRunner(self)
        self._shown_grid: CurveGrid | None = None
        self._overview_id: Hashable = None
        self._lay_out()
        self._connect()
        self._show_state()

    # -- what the window tells ------------------------------------------------------------------------------------

    def show_analysis(self, analyzed: Analyzed) -> None:
        """Another photo, or the same one with another model."""
        self.session.take_analysis(analyzed)
        self.probe.show_analysis(analyzed)
        self._show_motion()

    def show_restored(self, restored: Restored) -> None:
        """The mask may be another one."""
        self.session.take_restored(restored)
        self._show_motion()

    def forget(self, key: Hashable) -> None:
        """A layer was removed: the photo, or one of this tab's own."""
        source = self._source
        if source is None:
            return
        if source.key == key:
            self._stop_work()
            self.session.forget(key)
            self.probe.show_nothing()
            self._show_state()
        elif self._overview_id == key:
            self._overview_id = None
            self.colours.show_switched(False)

    def stop(self) -> None:
        """Stop the film, the check, and what is being written."""
        for runner in (self.filmer, self.checker, self.writer):
            runner.cancel()
        self._show_state()

    def close_down(self) -> None:
        """Stop what runs, leave the viewer's pointer and camera, and keep nothing of photo and model."""
        self._stop_work()
        self.probe.leave()
        self.view.unfollow()
        if (source := self._source) is not None:
            self.session.forget(source.key)
            self._show_state()

    # -- motion ---------------------------------------------------------------------------------------------------

    def _show_motion(self) -> None:
        """Show colours and curves of the newest mask, and follow the viewer."""
        self._shown_grid = None
        self.view.follow()
        self.view.look_again()
        self.probe.follow()
        self._switch_colours(self.colours.check.isChecked())
        self._show_state()

    def _switch_colours(self, is_on: bool) -> None:
        job = self.session.overview_job() if is_on else None
        if job is not None:
            self.colourer.ask(job)
            return
        self.colourer.cancel()
        if self._source is not None:
            self._overview_id = None
            self.layers.remove(MotionRole.OVERVIEW, self._source)

    def _on_coloured(self, job: Job[Any]) -> None:
        def show(value: tuple[Analyzed, Overview]) -> None:
            analyzed, overview = value
            self._overview_id = None  # it may be removed and added again
            self._overview_id = self.layers.show_overview(analyzed.source, overview)
            self.colours.show_limit(overview.limit_px)

        self._take(job, show)

    def _on_view_changed(self) -> None:
        if self._source is not None:
            self.layers.fit_points(self._source)
        self._show_curves()

    def _show_curves(self) -> None:
        """Draw the curves that the zoom asks for; nothing where they are there already."""
        analyzed, mask = self.session.analyzed, self.session.mask
        if analyzed is None or mask is None or not self.closer.isChecked():
            return
        view = self.layers.seen_part(analyzed.source)
        if view is None:
            return
        grid = curve_grid(view, mask)
        if grid != self._shown_grid:
            self._shown_grid = grid
            self.layers.show_curves(analyzed, seen_curves(analyzed.analysis, mask, grid), view.curve_width_px)

    def _on_closer_toggled(self, is_on: bool) -> None:
        analyzed, restored = self.session.analyzed, self.session.restored
        if not is_on and analyzed is not None and self._shown_grid is not None:
            self._shown_grid = None
            self.layers.show_curves(analyzed, analyzed.curves if restored is None else restored.curves)
        self._show_curves()

    # -- film and trust -------------------------------------------------------------------------------------------

    def _make_film(self, instants: int) -> None:
        job = self.session.film_job(instants)
        if job is not None:
            self.filmer.ask(job)
            self._show_state()

    def _on_filmed(self, job: Job[Any]) -> None:
        def show(film: Film) -> None:
            self.session.take_film(film)
            self.layers.show_film(film)

        self._take(job, show)

    def save_film(self, path: str) -> None:
        """Write the film that is shown, in the background."""
        film = self.session.film
        if film is None:
            return
        self.film.text.setText(f"Writing {Path(path).name} …")
        self.film.save_button.setEnabled(False)
        self.writer.ask(SaveFilmJob(film, path))

    def _on_saved(self, job: Job[Any]) -> None:
        self._take(job, lambda _path: None)
        if job.error is None:
            self.film.text.setText(f"Written to {job.value}.")

    def _check(self) -> None:
        job = self.session.trust_job()
        if job is not None:
            self.checker.ask(job)
            self._show_state()

    def _on_checked(self, job: Job[Any]) -> None:
        def show(checked: Checked) -> None:
            self.session.take_checked(checked)
            self.layers.show_check(checked)

        self._take(job, show)

    # -- what is shown --------------------------------------------------------------------------------------------

    @property
    def _source(self) -> Source | None:
        return None if self.session.analyzed is None else self.session.analyzed.source

    def _take(self, job: Job[Any], show: Callable[[Any], None]) -> None:
        """Show what a job brought, or say what went wrong."""
        try:
            if job.error is not None:
                raise job.error
            if job.value is not None:
                show(job.value)
        except Exception as error:
            notify(error, sentence(error))
        self._show_state()

    def _stop_work(self) -> None:
        self.colourer.cancel()
        self.stop()

    def _show_state(self) -> None:
        session = self.session
        has_motion, can_work = session.obstacle == "", session.trust_job() is not None
        for widget in (self.colours, self.closer):
            widget.setEnabled(has_motion)
        self.probe.show_state()
        for button, runner in ((self.film.make_button, self.filmer), (self.trust.button, self.checker)):
            button.setEnabled(can_work or runner.is_busy)
            button.show_busy(runner.is_busy)
        self.film.instants.setEnabled(can_work)
        self.film.save_button.setEnabled(session.film is not None and not self.writer.is_busy)
        self.film.photo_name = "" if self._source is None else self._source.name
        self.film.text.setText(session.film_text)
        self.trust.show_verdict(session.verdict)

    # -- making ---------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.addWidget(self.colours)
        column.addWidget(self.closer)
        for title, widget in (
            ("Probe", self.probe.controls),
            ("Film of the exposure", self.film),
            ("Does the result explain the photo?", self.trust),
        ):
            heading = QLabel(title)
            font = heading.font()
            font.setBold(True)
            heading.setFont(font)
            column.addSpacing(6)
            column.addWidget(heading)
            column.addWidget(widget)
        column.addStretch(1)
        self.scroll(inner)

    def _connect(self) -> None:
        self.colours.switched.connect(self._switch_colours)
        self.closer.toggled.connect(self._on_closer_toggled)
        self.view.changed.connect(self._on_view_changed)
        self.film.make_requested.connect(self._make_film)
        self.film.cancel_requested.connect(lambda: self._cancel(self.filmer))
        self.film.save_requested.connect(self.save_film)
        self.trust.check_requested.connect(self._check)
        self.trust.cancel_requested.connect(lambda: self._cancel(self.checker))
        self.colourer.ended.connect(self._on_coloured)
        self.filmer.ended.connect(self._on_filmed)
        self.checker.ended.connect(self._on_checked)
        self.writer.ended.connect(self._on_saved)
        self.filmer.progressed.connect(self.film.make_button.show_progress)
        self.checker.progressed.connect(self.trust.button.show_progress)

    def _cancel(self, runner: NewestRunner) -> None:
        runner.cancel()
        self._show_state()
