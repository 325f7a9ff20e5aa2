"""The one exception that users are meant to see."""


class UserError(Exception):
    """A mistake or a missing thing that the user can mend.

    Its text is one line: what is wrong, and what to do. The doors (`nstjax.train`, `nstjax.cli`, `nstjax.weights`)
    print it without a traceback and exit with code 2.
    """

    def __init__(self, text: str) -> None:
        # Texts quote names out of files from anywhere, which may hold newlines and a terminal's control characters.
        super().__init__("".join(c if c.isprintable() else "?" for c in text))
