"""napari's own notifications, for what a person should not overlook."""

from napari.utils.notifications import ErrorNotification, notification_manager, show_warning

from m2aenet_core.errors import InputError


def notify(error: Exception, sentence: str) -> None:
    """Show a mistake that can be mended as a warning, and a fault with its traceback."""
    if isinstance(error, InputError):
        show_warning(sentence)
    else:
        notification_manager.dispatch(ErrorNotification(error))
