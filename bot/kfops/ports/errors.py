"""How the outside says no. Adapters turn every SDK exception into one of these two."""

from __future__ import annotations


class Unavailable(Exception):  # noqa: N818 - named for what the outside is, not for being an error
    """The other side could not answer now; the same call may go through later.

    `retry_after_s` is what it asked for, in seconds, where it did.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Refused(Exception):  # noqa: N818
    """The other side understood and said no; asking again changes nothing.

    `fix` is a line for the person who asked, where one is known.
    """

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix
