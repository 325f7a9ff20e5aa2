"""From the words of a command line to a checked configuration, and what Hydra has against them in one line."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nstjax.config import Config, from_dict, to_dict
from nstjax.errors import UserError

# Hydra 1.4 has no compatibility levels left, and warns when it is given one.
VERSION_BASE = {"version_base": "1.3"} if hydra.__version__.startswith("1.3") else {}


def config_dir() -> str:
    """The folder of YAML files: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return str(next(folder for folder in (package / "configs", package.parent / "configs") if folder.is_dir()))


def compose(overrides: Sequence[str] = ()) -> Config:
    """The configuration of a command line, for notebooks and scripts: `compose(["style=starry", "size=256"])`.

    Raises:
        UserError: as the command would refuse it.
    """
    with hydra_errors(), hydra.initialize_config_dir(config_dir(), **VERSION_BASE):
        return checked(hydra.compose("config", overrides=list(overrides)))


def checked(composed: DictConfig) -> Config:
    """What Hydra has composed, as the schema has it."""
    return from_dict(cast(dict[str, Any], OmegaConf.to_container(composed, resolve=True)))


@contextmanager
def hydra_errors() -> Iterator[None]:
    """What Hydra and OmegaConf raise, as a UserError of one line."""
    try:
        yield
    except OverrideParseException as error:
        raise UserError(_unreadable(error.override)) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_one_line(str(error))) from error
    except OSError as error:
        where = error.filename or "the run's folder"
        raise UserError(f"cannot write to {where}: {error.strerror}; choose another hydra.run.dir") from error
    except ImportError as error:
        plugin = re.search(r"instantiate plugin hydra_plugins\.hydra_(\w+)_launcher", str(error))
        if plugin is None:
            raise
        raise UserError(f"hydra/launcher={plugin[1]} needs `pip install hydra-{plugin[1]}-launcher`") from error
    except ValueError as error:
        if "Config group override must be" not in str(error):
            raise
        raise UserError("a group of configs can't be null; choose one of its files, as style=starry") from error


def _unreadable(override: str) -> str:
    if "=" not in override:
        return f"{override!r} is not a setting; write KEY=VALUE"
    text = f"can't read the setting {override!r}; put quotes within quotes around special characters"
    return f"{text}, as in 'content.path=\"photo (1).jpg\"', or use the command nstjax"


def _one_line(text: str) -> str:
    if unknown := re.search(r"Could not override '([^']+)'", text):
        return f"unknown key {unknown[1]!r}; `python -m nstjax.train --cfg job` shows all keys"
    text = text.partition("Config search path:")[0].partition("See https")[0]
    if plugin := re.search(r"Could not find 'hydra/(launcher|sweeper)/(\w+)'", text):
        kind, name = plugin.groups()
        return f"hydra/{kind}={name} is not installed; see docs/sweeps.md for what there is and how to install it"
    if missing := re.search(r"Could not find '(\w+)/([^']*)'\s+Available options in '[^']+':\s+(.*)", text, re.DOTALL):
        group, name, known = missing.groups()
        return f"{group}={name} is not known; choose one of {', '.join(known.split())}"
    return " ".join(text.split())


_schema = OmegaConf.create(to_dict(Config()))
OmegaConf.set_struct(_schema.optimizer.parameters, False)  # any key, without Hydra's `+`: `optimizers` knows which
ConfigStore.instance().store(name="schema", node=_schema)
