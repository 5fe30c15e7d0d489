"""The history of an endpoint's generations, read as a stack of versions."""

from __future__ import annotations

from collections.abc import Iterable


def version_stack(versions: Iterable[int]) -> list[int]:
    """Versions that were good, oldest first, the present one last.

    A new version goes on top; one that is there already (a rollback) takes away what came after it. So a second
    rollback goes further back, not forth again: 1 2 3 2 → [1, 2].
    """
    stack: list[int] = []
    for version in versions:
        if version in stack:
            del stack[stack.index(version) + 1 :]
        else:
            stack.append(version)
    return stack


def rollback_target(versions: Iterable[int]) -> int | None:
    """The version to go back to, or None where there is no earlier one."""
    stack = version_stack(versions)
    return stack[-2] if len(stack) > 1 else None
