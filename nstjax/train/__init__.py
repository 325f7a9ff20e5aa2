"""`python -m nstjax.train KEY=VALUE ...`: the Hydra door to one run, or with `-m` to a sweep.

"train" is the command that this field uses, though nothing is trained: the image is what gets optimised.
"""

from nstjax.train import callback, launcher
from nstjax.train.command import execute, main
from nstjax.train.composing import compose, config_dir
from nstjax.train.outcome import Outcome

__all__ = ["Outcome", "compose", "config_dir", "execute", "main"]

callback.register()
launcher.register()
