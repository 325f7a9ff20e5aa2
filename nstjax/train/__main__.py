"""`python -m nstjax.train`; see `nstjax.train`."""

import sys

from nstjax.train import main

if __name__ == "__main__":
    sys.exit(main())
