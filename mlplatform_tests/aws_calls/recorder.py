"""Every call that an adapter makes through boto3 in this process, with the adapter that made it.

botocore asks its handlers before each call, on the thread of the caller; whose call it is, the stack says. Calls of tests
themselves, and of servers, are nobody's.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from mlplatform.cli.connections_page import SETTINGS

DATA = Path(__file__).with_name("calls.json")
_ADAPTERS = "mlplatform.adapters."
_OTHERS = {
    "stream.firehose": "stream: firehose",
    "arrivals.s3_events": "arrivals: sqs",
    "tracking.sagemaker_packages": "tracking: model packages",
}
"""Modules that are not called as their adapter is."""

RECORD = "MLPLATFORM_RECORD_AWS"
"""With ``yes``, calls are kept instead of compared with what is kept."""

Call = tuple[str, str]
"""Component (``port: adapter``), and ``service:Operation`` as requests are signed and botocore calls it."""

CALLED: set[Call] = set()


def install() -> None:
    """Let every client that is made from now on be listened to."""
    from botocore import handlers

    handlers.BUILTIN_HANDLERS.append(("before-call", _called))


def listed(data: Path = DATA) -> dict[str, list[str]]:
    """What is kept: component → calls."""
    found: dict[str, list[str]] = json.loads(data.read_text("utf-8"))
    return found


def unlisted(calls: Iterable[Call], data: Path = DATA) -> list[Call]:
    """Those that are not kept."""
    known = listed(data)
    return sorted((component, call) for component, call in calls if call not in known.get(component, ()))


def told(calls: Sequence[Call]) -> str:
    """What to do about calls that are not kept."""
    asked = ", ".join(f"{call} ({component})" for component, call in calls)
    return (
        f"Asked of AWS, and not on the list of what adapters ask: {asked}. If that is meant, run this test with {RECORD}=yes, "
        "then 'make docs', and look at the permissions that docs/profiles.md gained."
    )


def keep(calls: Iterable[Call], data: Path = DATA) -> None:
    """Add to what is kept; several test processes may."""
    turnstile = os.open(data.parent, os.O_RDONLY)
    try:
        fcntl.flock(turnstile, fcntl.LOCK_EX)
        if new := unlisted(calls, data):
            found = {component: set(known) for component, known in listed(data).items()}
            for component, call in new:
                found.setdefault(component, set()).add(call)
            text = json.dumps({component: sorted(asked) for component, asked in sorted(found.items())}, indent=1)
            whole = data.with_suffix(".new")
            whole.write_text(f"{text}\n", "utf-8")
            whole.rename(data)
    finally:
        os.close(turnstile)


def component_of(module: str) -> str | None:
    """The component that a module of an adapter belongs to, None for any other module."""
    if not module.startswith(_ADAPTERS):
        return None
    name = module.removeprefix(_ADAPTERS)
    for other, component in _OTHERS.items():
        if name.startswith(other):
            return component
    port, _, stem = name.partition(".")
    adapters = [adapter for adapter in SETTINGS.get(port, ()) if stem == adapter or stem.startswith(f"{adapter}_")]
    return f"{port}: {max(adapters, key=len)}" if adapters else None


def _called(model: Any, **_: Any) -> None:
    component = _caller(sys._getframe(1))
    if component is not None:
        CALLED.add((component, f"{model.service_model.signing_name}:{model.name}"))


def _caller(frame: FrameType | None) -> str | None:
    while frame is not None:
        component = component_of(frame.f_globals.get("__name__", ""))
        if component is not None:
            return component
        frame = frame.f_back
    return None
