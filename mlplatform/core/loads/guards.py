"""The comparison that a commit makes: whether a plan was made from the guard row as it is now."""

from __future__ import annotations

from mlplatform.core.loads.plan import Guard, LoadPlan
from mlplatform.errors import ConflictError

LOADS = ""
"""Shard of the guard row that counts a table's loads: a load sets it, so that no two commit from the same state."""


def check_guard(plan: LoadPlan, found: Guard) -> None:
    """That the plan was made from the guard's state. Raises ConflictError."""
    if found.epoch > plan.epoch:
        raise ConflictError(
            f"Loader of '{plan.key}' into table '{plan.table}' is stale: shard '{plan.shard}' was claimed with epoch "
            f"{found.epoch}, this plan has epoch {plan.epoch}.",
            next_step="Nothing was loaded; the loader that claimed it goes on.",
        )
    if found.last != plan.last:
        raise ConflictError(
            f"Plan for '{plan.key}' into table '{plan.table}' is out of date: shard '{plan.shard}' is at "
            f"'{found.last}', expected '{plan.last}'.",
            next_step="Nothing was loaded; plan again.",
        )
