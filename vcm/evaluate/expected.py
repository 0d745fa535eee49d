"""The score on uncompressed pictures, and what a task says that it is: known before any curve."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vcm.errors import MetricError
from vcm.evaluate.plan import Plan
from vcm.evaluate.record import Record
from vcm.evaluate.score import Scorer, Scores
from vcm.metrics.table import agreement
from vcm.task import Expected, TaskSpec
from vcm.vision.base import TaskModel


def main_metric(task: TaskSpec, values: Mapping[str, Any]) -> str:
    """The task's metric or the model's agreement in it, if measured; else what was first."""
    wanted = (task.metric, agreement(task.metric)) if task.metric else ()
    return next((m for m in wanted if m in values), next(iter(values)))


def uncompressed(plan: Plan, model: TaskModel, records: Mapping[str, Record]) -> Scores:
    """Scores of the task model on the pictures as they are, without intervals."""
    rows = list(records.values())
    return Scorer(plan, model.kind, model.names, rows, np.ones((1, len(rows)))).original()


def check_expected(plan: Plan, scores: Scores) -> str:
    """A sentence on the uncompressed score.

    Raises:
        MetricError: if the score is 0, or is not the one that the task states for this model and
            this data.
    """
    task = plan.task
    metric = main_metric(task, scores.values)
    value = float(scores.values[metric][0])
    said = f"uncompressed {metric} {value:.1f}"
    if value == 0:
        raise MetricError(
            f"{said}: the model finds nothing of what is labelled; do the labels belong to these "
            f"pictures, are they in pixels, and is this the right model for them?",
            hint="score",
        )
    known = expected_of(plan)
    if known is None or metric != task.metric:
        return said
    expected, tolerance = known.score, known.tolerance
    if abs(value - expected) > tolerance:
        raise MetricError(
            f"{said}, task {task.name} expects {expected:g} ± {tolerance:g}: the model, its "
            f"adapter or the pictures are not the task's",
            hint="score",
        )
    return f"{said}, as task {task.name} expects ({expected:g} ± {tolerance:g})"


def expected_of(plan: Plan) -> Expected | None:
    """What the task says of this model and just these data, if anything."""
    task, data = plan.task, plan.data
    if data.name != task.data or data.part:
        return None
    weights = plan.model.rpartition("/")[2].rpartition(":")[2]
    known = ([task.expected] if task.expected else []) + list(task.also)
    fits = (e for e in known if (e.weights or task.weights, e.only) == (weights, data.only))
    return next(fits, None)
