"""A fault of a system's YAML that only shows where its stations are held against each other."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A cross-check that failed: on which station, at which key path of its attributes, and why."""

    station: str
    path: tuple[str | int, ...]
    message: str
