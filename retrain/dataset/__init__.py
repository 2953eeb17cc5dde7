"""Data set versions: cleaned, split without leaks, mixed with replay, content-addressed."""

from retrain.dataset.build import DatasetBuild, DatasetInput, build, texts_to_embed
from retrain.dataset.cleaning import CLEANER_NAMES, Cleaner, DatasetChecks
from retrain.dataset.comparing import Place, difference, lineage
from retrain.dataset.files import (
    DatasetFiles,
    read_assignments,
    read_holdout,
    read_manifest,
    read_rejections,
    read_train,
    render_files,
    write_dataset,
)
from retrain.dataset.policy import DatasetPolicy, TrainOn
from retrain.dataset.privacy import leftover_check
from retrain.dataset.rows import (
    HeldOutRow,
    Rejection,
    Render,
    ReplayRow,
    Source,
    TrainingRow,
)
from retrain.dataset.similarity import QuestionVectors
from retrain.dataset.split import Assignment, Side

__all__ = [
    "CLEANER_NAMES",
    "Assignment",
    "Cleaner",
    "DatasetBuild",
    "DatasetChecks",
    "DatasetFiles",
    "DatasetInput",
    "DatasetPolicy",
    "HeldOutRow",
    "Place",
    "QuestionVectors",
    "Rejection",
    "Render",
    "ReplayRow",
    "Side",
    "Source",
    "TrainOn",
    "TrainingRow",
    "build",
    "difference",
    "leftover_check",
    "lineage",
    "read_assignments",
    "read_holdout",
    "read_manifest",
    "read_rejections",
    "read_train",
    "render_files",
    "texts_to_embed",
    "write_dataset",
]
