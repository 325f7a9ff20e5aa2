"""`python -m nstjax.train`; see `nstjax.train`."""

import sys

from nstjax import memory
from nstjax.train import main

if __name__ == "__main__":
    memory.use_large_pages()
    sys.exit(main())
