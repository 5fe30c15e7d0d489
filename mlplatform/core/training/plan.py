"""The training plan: what a job is asked to train, as `plan.json` of its `spec` channel carries it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from mlplatform.core.packages.manifest import InputField, Task
from mlplatform.errors import DataError

FILE = "plan.json"


@dataclass(frozen=True)
class SearchRange:
    """Values to search: `low` … `high` (whole numbers if both are), or `choices`."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Search:
    """A hyperparameter search on the validation rows."""

    trials: int = 0
    timeout_s: float = 120
    seed: int = 0
    ranges: dict[str, SearchRange] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingPlan:
    """What to train.

    Attributes:
        model: the registered model's name.
        metric: what the search improves. higher_is_better: and in which direction.
        snapshot: the SnapshotRef as JSON. split: how its rows were divided, as JSON (`core.training.split`).
        window_column: its greatest value among the rows is the package's `trained_to`.
        search: None: what the container searches when it is left to it.
        personal: columns of the rows whose values stay out of all that the job leaves.
    """

    model: str
    task: Task
    target: str
    inputs: tuple[InputField, ...]
    metric: str
    higher_is_better: bool
    snapshot: dict[str, Any]
    split: dict[str, Any]
    code_version: str
    window_column: str | None = None
    search: Search | None = None
    personal: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> TrainingPlan:
        """Read one back. Raises DataError where a part is missing or unknown."""
        try:
            return cls(
                **{
                    **data,
                    "inputs": tuple(InputField(**f) for f in data["inputs"]),
                    "personal": tuple(data.get("personal", ())),
                    "search": None if data["search"] is None else _search(data["search"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise DataError(f"'{FILE}' is no training plan: {error!r}.") from error


def _search(data: dict[str, Any]) -> Search:
    ranges = {name: SearchRange(**{**r, "choices": tuple(r["choices"])}) for name, r in data["ranges"].items()}
    return Search(**{**data, "ranges": ranges})
