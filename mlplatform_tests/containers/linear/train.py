"""Trains the model of `scorer.py` in the training contract."""

from __future__ import annotations

import os
import shutil
import sys

import pyarrow as pa
from scorer import WEIGHTS, fit, predict

from mlplatform.core.features.encoder import Encoder
from mlplatform.core.features.fitted import fit as fit_transforms
from mlplatform.core.training.metrics import measure_all
from mlplatform.core.training.plan import FILE, TrainingPlan
from mlplatform.entrypoints.contract import Job, run_job
from mlplatform.entrypoints.package_files import read_channels, seal, write_json
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
    seal(
        job,
        plan,
        tables,
        runtime="process",
        fitted=fitted,
        classes=classes,
        predicted=predicted,
        metrics=metrics,
        evaluation={"leaderboard": [{"model": "linear", **metrics}]},
    )


if __name__ == "__main__":
    sys.exit(run_job(train, os.environ))
