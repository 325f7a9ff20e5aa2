"""The one exception that users are meant to see, and how it shows them values."""


class UserError(Exception):
    """A mistake or a missing thing that the user can mend.

    Its text is one line: what is wrong, and what to do. The doors (`nstjax.train`, `nstjax.cli`, `nstjax.weights`)
    print it without a traceback and exit with code 2.
    """


def shown(value: object) -> str:
    """A value as it is written in a setting: null and true, not None and True."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return repr(value)
