"""`mlplatform.FeatureSet`: which rows and columns a model learns from, and how they are split and transformed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from mlplatform.spec.station import Name, StationSpec, Strict

TERMS = 200
"""Terms of a text that become inputs, where nothing is said."""


class WindowSpec(Strict):
    """The newest `last` distinct values of `column` (days, say): a rolling training window."""

    column: str = Field(description="Column of the query, usually the day.")
    last: int = Field(gt=0, description="How many of its newest distinct values.")


class SplitSpec(Strict):
    """How held-out rows are chosen.

    `hash`: by a salted hash of `key`; the same key is held out for ever, in every window, so that no model ever trains
    on it. `time`: the newest `holdout` share of the distinct values of the window's column.
    """

    by: Literal["hash", "time"] = Field(default="hash", description="How held-out rows are chosen.")
    key: list[str] = Field(default_factory=list, description="Columns hashed together; rows of one key stay together.")
    holdout: float = Field(default=0.15, gt=0, lt=1, description="Share of keys held out for the gate.")
    validation: float = Field(
        default=0.15, gt=0, lt=1, description="Share of the other keys used to choose hyperparameters."
    )
    salt: str = Field(default="", description="Mixed into the hash; another salt holds out other keys.")


class FeatureSpec(Strict):
    """One input of the model.

    `category`: codes fitted in training; an unseen value gets its own code and a flag in the answer, or is refused.
    `text`: its words and pairs of neighbouring words, those that most training texts have, each weighed by how rare it is
    (TF-IDF), and how many words there are.
    `numeric`: passed on; a missing value stays missing (trees handle it), becomes the training median, or is refused.
    """

    name: Name = Field(description="Column of the query, and field of a request.")
    transform: Literal["numeric", "category", "text"] = Field(
        default="numeric", description="How a value becomes a number, or, free text, several."
    )
    terms: int | None = Field(
        default=None,
        gt=0,
        le=2000,
        examples=[500],
        description=f"Of a text: how many words and pairs of words become inputs at most; default {TERMS}.",
    )
    missing: Literal["refuse", "keep", "median"] = Field(
        default="refuse", description="What a missing value does: refused, kept as missing, or the training median."
    )
    unseen: Literal["flag", "refuse"] = Field(
        default="flag",
        examples=["refuse"],
        description="What a category unknown to training does, or a text of which no word is known: its own code and a flag in "
        "the answer, or refused.",
    )
    minimum: float | None = Field(default=None, examples=[0], description="Smallest value accepted in a request.")
    maximum: float | None = Field(default=None, examples=[120], description="Largest value accepted in a request.")
    description: str = Field(
        default="", examples=["Change of the day, in per cent."], description="Shown in the endpoint's API docs."
    )

    @model_validator(mode="after")
    def _of_its_kind(self) -> FeatureSpec:
        if self.transform != "text" and self.terms is not None:
            raise ValueError(f"'terms' are of a text, and the transform is {self.transform}")
        if self.transform == "text" and (self.minimum is not None or self.maximum is not None):
            raise ValueError("a text has no 'minimum' and no 'maximum'")
        return self


class ExpectationSpec(Strict):
    """A Great Expectations expectation on the training rows, by its snake-case name."""

    type: str = Field(
        pattern=r"^expect_[a-z_]+$", description="Snake-case name, e.g. expect_column_values_to_not_be_null."
    )
    kwargs: dict[str, Any] = Field(default_factory=dict, description="Its arguments.")
    severity: Literal["block", "warn"] = Field(default="block", description="Whether its failure stops the training.")


class SampleSpec(Strict):
    """A random sample of the keys that a model learns from: about `rows` rows, or a `share`. Held-out rows are all kept."""

    rows: int | None = Field(default=None, gt=0, examples=[1_000_000], description="About so many rows.")
    share: float | None = Field(default=None, gt=0, lt=1, examples=[0.1], description="Or this share of the keys.")
    seed: int = Field(default=0, examples=[7], description="Another seed, other keys.")

    @model_validator(mode="after")
    def _one_form(self) -> SampleSpec:
        if (self.rows is None) == (self.share is None):
            raise ValueError("a sample has either 'rows' or 'share'")
        return self


class FeatureSetSpec(StationSpec):
    """The unload query, its window, split, transforms, and the data tests before training."""

    table: str = Field(description="Name of a table of this system.")
    query: str = Field(description="File beside this YAML with one SELECT in DuckDB's dialect.")
    target: str = Field(description="Column of the query that is learned.")
    features: list[FeatureSpec] = Field(min_length=1)
    window: WindowSpec | None = None
    split: SplitSpec
    channel: Literal["files", "warehouse"] = Field(
        default="files",
        examples=["warehouse"],
        description="How a training job gets the rows: in files, unloaded at each build; or it pulls them out of the "
        "warehouse itself, each host its share, and nothing is staged.",
    )
    sample: SampleSpec | None = None
    anonymous: list[str] = Field(
        default_factory=list,
        examples=[["deck"]],
        description="Columns of the query that are made of a table's personal columns and tell nobody's value, such as an age "
        "group; all others that are made of such are personal.",
    )
    expectations: list[ExpectationSpec] = Field(default_factory=list)
    minimum_rows: int = Field(default=100, gt=0, examples=[1000], description="Fewer training rows are refused.")

    @model_validator(mode="after")
    def _consistent(self) -> FeatureSetSpec:
        if self.split.by == "hash" and not self.split.key:
            raise ValueError("split by hash needs 'key': the columns whose rows stay together")
        if not self.split.key and (self.sample is not None or self.channel == "warehouse"):
            wanted = "a sample" if self.sample is not None else "channel: warehouse"
            raise ValueError(f"{wanted} needs the split's 'key': rows are chosen by a hash of it")
        if self.split.by == "time" and self.window is None:
            raise ValueError("split by time needs 'window': its column orders the rows")
        if self.target in {f.name for f in self.features}:
            raise ValueError(f"the target '{self.target}' is also a feature")
        return self
