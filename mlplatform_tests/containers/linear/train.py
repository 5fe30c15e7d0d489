"""Trains the model of `scorer.py` in the training contract."""

from __future__ import annotations

import os
import shutil
import sys

import pyarrow as pa
from scorer import WEIGHTS, fit, predict

from mlplatform.core.features.encoder import Encoder
from mlplatform.core.features.fitted import fit as fit_transforms
from mlplatform.core.features.fitted import write_transforms
from mlplatform.core.packages.manifest import Signature
from mlplatform.core.packages.writer import seal_package
from mlplatform.core.training.metrics import measure_all
from mlplatform.core.training.plan import FILE, TrainingPlan
from mlplatform.entrypoints.contract import Job, run_job
from mlplatform.entrypoints.package_files import greatest, read_channels, write_baseline, write_json, write_split
from mlplatform.entrypoints.xgboost_rows import find_classes, labels_of


def train(job: Job) -> None:
    """Fit, measure, seal."""
    plan = TrainingPlan.from_json(job.document("spec", FILE))
    tables = read_channels(job)
    classes = find_classes(plan.task, list(tables.values()), plan.target)
    both = pa.concat_tables([tables["train"], tables["validation"]])
    fitted = fit_transforms(plan.inputs, both)
    encoder = Encoder(plan.inputs, fitted)
    sizes = [len(f.categories or ()) for f in fitted]
    model = fit(encoder.table(both).matrix, labels_of(both, plan.target, classes), sizes, len(classes))
    held_out = tables["test"]
    predicted = predict(model, encoder.table(held_out).matrix)
    metrics = measure_all(plan.task, labels_of(held_out, plan.target, classes), predicted)
    print(f"trained by {sys.executable}", flush=True)
    job.model_dir.mkdir(parents=True, exist_ok=True)
    write_json(job.model_dir / WEIGHTS, model)
    shutil.copy("scorer.py", job.model_dir / "scorer.py")
    shutil.copy(os.environ["MLPLATFORM_LOCK"], job.model_dir / "requirements.lock")
    write_transforms(job.model_dir, fitted)
    write_split(job, plan, both)
    write_baseline(job, plan)
    write_json(
        job.model_dir / "evaluation.json",
        {"metric": plan.metric, "held_out": metrics, "leaderboard": [{"model": "linear", **metrics}]},
    )
    seal_package(
        job.model_dir,
        model=plan.model,
        signature=Signature(plan.inputs, plan.task, plan.target, classes),
        runtime="process",
        snapshot=plan.snapshot,
        training_job=job.name,
        code_version=plan.code_version,
        trained_to=greatest(tables.values(), plan.window_column),
        metrics=metrics,
    )


if __name__ == "__main__":
    sys.exit(run_job(train, os.environ))
