"""What notebooks read: tables at a moment, features, models and their answers, evaluations, lineage. Nothing is written."""

from mlplatform.notebook.project import Project, open_project

__all__ = ["Project", "open_project"]
