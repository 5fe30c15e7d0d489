"""Transforms: a model package asked for every row of a set of objects, by the code that serves it, wherever that runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

ANSWER = "SageMakerOutput"
"""What is added to each row: what the model answered, as an object."""
OUT = ".out"
"""What is added to an object's key."""


@dataclass(frozen=True)
class TransformSpec:
    """One transform.

    Attributes:
        name: unique, ≤ 63 characters of ``[a-zA-Z0-9-]``; a transform of that name is never done twice.
        model, version, digest: the registered version. package: its files on this machine.
        keys: fields of a row beside the model's inputs.
        input_prefix: of the object store; its objects are JSON lines: the inputs and the keys.
        output_prefix: where an object with its answers lies afterwards, as ``<its key below the prefix>.out``: the same lines in the
            same order, each with `ANSWER`: ``{"prediction": …, "probabilities"?: {…}, "flags": […]}``.
        timeout_s: then it is stopped.
    """

    name: str
    model: str
    version: int
    digest: str
    package: Path
    keys: tuple[str, ...]
    input_prefix: str
    output_prefix: str
    timeout_s: int = 3600
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Transformed:
    """A transform that is done. `billable_s`: seconds of all hosts that are paid for, None where nothing is."""

    name: str
    machine: str
    log_path: Path | None = None
    billable_s: int | None = None


class Transforms(Protocol):
    """Does transforms. An object has its answers whole, or none."""

    @property
    def shared(self) -> bool:
        """Whether installations with object stores of their own see each other's transforms, whose names must then differ."""
        ...

    def run(self, transform: TransformSpec, *, on_log: Callable[[str], None] | None = None) -> Transformed:
        """Do it to the end; one of that name that is under way is joined, a finished one is not done again. An interrupt (any
        BaseException) stops it first.

        Raises:
            DataError: there is nothing under the input prefix, or a row does not fit the model's signature.
            JobError: it failed; the message says why, and where its log is.
            TimedOutError: it ran out of time and was stopped.
        """
        ...

    def failed(self, name: str) -> bool:
        """Whether a transform of that name ended without all its answers: another attempt needs another name."""
        ...
