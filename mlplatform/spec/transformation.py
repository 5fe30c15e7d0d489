"""A stream's transformation: the user's function on one record's bytes, with what came of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

from mlplatform.errors import SpecError


@dataclass(frozen=True)
class Transformed:
    """The bytes to deliver, or None for a record that is filtered out; `error` says why the function failed on it."""

    data: bytes | None
    error: str = ""


def load_transformation(reference: str | None, *, where: str) -> Callable[[bytes], Transformed]:
    """The function that ``package.module:function`` names, guarded; without one, records stay as they are.

    Raises:
        SpecError: there is no such module or function; `where` names the stream.
    """
    if reference is None:
        return Transformed
    module_name, _, function_name = reference.partition(":")
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
    except (ImportError, ValueError) as error:
        raise SpecError(
            f"{where}: transform '{reference}' cannot be imported: {error}.",
            next_step="Correct the reference in the YAML, or install what its module imports.",
        ) from error
    if not callable(function):
        raise SpecError(
            f"{where}: transform '{reference}' is no function.", next_step="Expected 'package.module:function'."
        )
    return lambda data: _guarded(function, data)


def _guarded(function: Callable[[bytes], object], data: bytes) -> Transformed:
    try:
        result = function(data)
    except Exception as error:  # noqa: BLE001 - the user's code: whatever it raises, the record is not lost
        return Transformed(data, f"transformation failed: {type(error).__name__}: {error}")
    if result is None or isinstance(result, bytes):
        return Transformed(result)
    return Transformed(data, f"transformation returned {type(result).__name__}; expected bytes or None")
