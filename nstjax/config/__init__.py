"""The schema of a run: frozen dataclasses that say of every value what it may be. No JAX, no Hydra.

The values of presets are in `configs/`. What a name like `lbfgs` stands for is in the registry of its own room; a test
keeps the names here and there equal.
"""

from nstjax.config.building import flat, from_dict, settings, to_dict
from nstjax.config.fields import MAX_SIZE, each
from nstjax.config.objective import LaplacianConfig, LayersConfig, ObjectiveConfig, StyleTermsConfig
from nstjax.config.schema import (
    REST,
    ColorConfig,
    Config,
    ContentConfig,
    FineConfig,
    InitConfig,
    OutputConfig,
    ScheduleConfig,
    StyleConfig,
)

__all__ = [
    "MAX_SIZE",
    "REST",
    "ColorConfig",
    "Config",
    "ContentConfig",
    "FineConfig",
    "InitConfig",
    "LaplacianConfig",
    "LayersConfig",
    "ObjectiveConfig",
    "OutputConfig",
    "ScheduleConfig",
    "StyleConfig",
    "StyleTermsConfig",
    "each",
    "flat",
    "from_dict",
    "settings",
    "to_dict",
]
