"""Rehearsals: a system run on sample rows in seconds, in a house of its own, as a user's own CI does."""

from mlplatform.rehearsal.house import find_systems, open_house
from mlplatform.rehearsal.rehearsal import Report, Wishes, first_failure, rehearse
from mlplatform.rehearsal.stage import Stage

__all__ = ["Report", "Stage", "Wishes", "find_systems", "first_failure", "open_house", "rehearse"]
