"""QLoRA training runs: spec in, adapter out, in a process of its own.

Light to import: `retrain.training.qlora` brings torch, this module does not.
"""

from retrain.training.process import ray_command, training_command, training_environment
from retrain.training.progress import (
    CallbackProgress,
    JsonlProgress,
    NoProgress,
    Progress,
    ProgressSink,
)
from retrain.training.spec import (
    PreferenceRecipe,
    QloraRecipe,
    TrainingResult,
    TrainingSpec,
    production_preference,
    production_recipe,
)

__all__ = [
    "CallbackProgress",
    "JsonlProgress",
    "NoProgress",
    "PreferenceRecipe",
    "Progress",
    "ProgressSink",
    "QloraRecipe",
    "TrainingResult",
    "TrainingSpec",
    "production_preference",
    "production_recipe",
    "ray_command",
    "training_command",
    "training_environment",
]
