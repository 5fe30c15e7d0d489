"""Runtimes of model packages."""

from mlplatform.adapters.runtimes.packages import PackageRuntimes

__all__ = ["PackageRuntimes"]
