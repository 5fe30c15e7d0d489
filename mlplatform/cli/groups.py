"""In which order, and under which headings, `mlplatform --help` shows the commands."""

from __future__ import annotations

from cyclopts import Group

SYSTEMS = Group("Make and change systems", sort_key=1)
OPERATION = Group("Run and look after them", sort_key=2)
DATA = Group("Records and rows", sort_key=3)
MODELS = Group("Models and predictions", sort_key=4)
FLAGS = Group("Options", sort_key=5)
