"""The two exceptions that other parts of the program may show to a person or act upon."""


class InputError(ValueError):
    """A problem the user can mend; its message is a sentence that says how."""


class Cancelled(Exception):  # noqa: N818 - a request that was granted, not a failure
    """Raised by a progress callback to stop long work."""
