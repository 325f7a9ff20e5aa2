"""The two exceptions that users are meant to see, and how texts and values are shown to them."""

from pathlib import Path


class UserError(Exception):
    """A mistake or a missing thing that the user can mend.

    Its text is one line: what is wrong, and what to do. The doors (`nstjax.train`, `nstjax.cli`, `nstjax.rerun`,
    `nstjax.weights`) print it without a traceback and exit with code 2.
    """

    def __init__(self, text: str) -> None:
        # Texts quote names out of files from anywhere, which may hold newlines and a terminal's control characters.
        super().__init__(printable(text))


class Interrupted(KeyboardInterrupt):
    """A run that a signal has stopped, after it left everything in order.

    Attributes:
        number: of the signal.
        code: the exit code by which shells know the signal: 130 for Ctrl-C, 143 for SIGTERM.
        picture: the best one so far; None before the first.
    """

    def __init__(self, signal_number: int, picture: Path | None) -> None:
        super().__init__()
        self.number, self.code, self.picture = signal_number, 128 + signal_number, picture


def printable(text: str) -> str:
    """The text with a question mark for each character that is none to be read: a newline, what steers a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def shown(value: object) -> str:
    """A value as it is written in a setting: null and true, not None and True."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value)
