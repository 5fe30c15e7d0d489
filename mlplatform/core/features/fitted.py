"""Fitted transforms: what training learnt about each input, as the package's `transforms.json` keeps it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.core.training.hosts import ALONE, Hosts, median, total, union
from mlplatform.errors import DataError, SpecError, StateError

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.core.packages.manifest import InputField

FORMAT_VERSION = 1
FILE = "transforms.json"


@dataclass(frozen=True)
class FittedField:
    """One input. `categories`: those met in training, sorted; a category's code is its place, an unseen one's is their count.

    `median` of the training rows' values, for a numeric input whose missing values it replaces. `terms` of a free text and
    what each of them weighs (`core.features.terms`).
    """

    name: str
    categories: tuple[str, ...] | None = None
    median: float | None = None
    terms: tuple[str, ...] | None = None
    weights: tuple[float, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the matrix's columns that it becomes: one, or one a term and the number of words."""
        if self.terms is None:
            return (self.name,)
        return (*(f"{self.name}: {term}" for term in self.terms), f"{self.name}, words")


def fit(inputs: Sequence[InputField], table: pa.Table, hosts: Hosts = ALONE) -> tuple[FittedField, ...]:
    """Learn categories, terms and medians from training rows, of which `table` holds this host's share.

    Raises:
        DataError: a column is missing, of the wrong type, or has no value at all; no term is in two of a free text's rows.
        SpecError: a category or a text with ``missing: median``.
    """
    return tuple(_fit_field(field, table, hosts) for field in inputs)


def _fit_field(field: InputField, table: pa.Table, hosts: Hosts) -> FittedField:
    import numpy as np

    from mlplatform.core.features.columns import numbers, texts

    if field.type == "varchar":
        if field.missing == "median":
            raise SpecError(
                f"Feature '{field.name}' is a {'text' if field.is_text else 'category'} and has no median.",
                next_step="Set missing to keep or refuse.",
            )
        if field.is_text:
            return _fit_text(field, table, hosts)
        own = [value for value in texts(table, field.name).dictionary.to_pylist() if value is not None]
        distinct = sorted(union(hosts, own))
        if not distinct:
            rows = total(hosts, table.num_rows)
            raise DataError(
                f"Feature '{field.name}' has no value in any of {rows} training rows.",
                next_step="Leave the feature out of the query, or widen the window.",
            )
        return FittedField(field.name, categories=tuple(distinct))
    if field.missing != "median":
        return FittedField(field.name)
    values = numbers(table, field.name)
    middle = median(hosts, values[~np.isnan(values)])
    if middle is None:
        raise DataError(
            f"Feature '{field.name}' has no value in any of {total(hosts, table.num_rows)} training rows, so no median.",
            next_step="Set missing to keep or refuse, or remove the feature.",
        )
    return FittedField(field.name, median=middle)


def _fit_text(field: InputField, table: pa.Table, hosts: Hosts) -> FittedField:
    from mlplatform.core.features.columns import free_texts
    from mlplatform.core.features.terms import LEAST, choose

    present = (value for value in free_texts(table, field.name) if value is not None)
    terms, weights = choose(present, field.terms, hosts)
    if not terms:
        raise DataError(
            f"Feature '{field.name}' is a text, and no word is in {LEAST} of {total(hosts, table.num_rows)} training rows.",
            next_step="Leave the feature out, widen the window, or make it a category.",
        )
    return FittedField(field.name, terms=terms, weights=weights)


def write_transforms(directory: Path, fitted: Sequence[FittedField]) -> None:
    """Write `transforms.json` into a package's directory."""
    fields = [asdict(field) for field in fitted]
    for field in fields:
        if field["terms"] is None:  # as packages were before there were texts
            del field["terms"], field["weights"]
    content = {"format_version": FORMAT_VERSION, "fields": fields}
    (directory / FILE).write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), "utf-8")


def read_transforms(directory: Path) -> tuple[FittedField, ...]:
    """Read `transforms.json` back. Raises StateError where it is damaged or of another format version."""
    path = directory / FILE
    try:
        content = json.loads(path.read_text("utf-8"))
        version = content["format_version"]
        fields = tuple(
            FittedField(
                f["name"],
                None if f["categories"] is None else tuple(f["categories"]),
                f["median"],
                tuple(f["terms"]) if "terms" in f else None,
                tuple(f.get("weights", ())),
            )
            for f in content["fields"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"no readable transforms at '{path}': {error!r}.") from error
    if version != FORMAT_VERSION:
        raise StateError(f"transforms at '{path}' have format {version}; this release reads {FORMAT_VERSION}.")
    return fields
