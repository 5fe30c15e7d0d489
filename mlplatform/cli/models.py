"""`mlplatform models | predict | promote | rollback | lineage | evaluations | requests | keys`."""

from __future__ import annotations

import json as jsonlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclopts import App

from mlplatform.cli.deployed import deployed
from mlplatform.cli.groups import MODELS
from mlplatform.cli.output import Count, Json, plain, read_bytes, show
from mlplatform.cli.table_name import split_name
from mlplatform.errors import DataError, NotFoundError, PermissionDeniedError, UnavailableError
from mlplatform.serving.api_keys import ApiKeys

keys = App(
    name="keys",
    group=MODELS,
    help="API keys of the gateway: create, list, revoke. Several are valid at once, so they can be rotated.",
)


def register(app: App) -> None:
    """Add these commands to `app`."""
    for command in (models, predict, promote, rollback, lineage, evaluations, requests):
        app.command(command, group=MODELS)
    app.command(keys)


def models(model: str | None = None, *, json: Json = False) -> int:
    """List registered versions with their metrics, aliases and where they came from.

    Parameters
    ----------
    model
        SYSTEM/MODEL; default: all.
    """
    from mlplatform.platform import open_platform
    from mlplatform.spec.model import ModelSpec

    platform = open_platform()
    names = (
        [split_name(model, "SYSTEM/MODEL")]
        if model
        else [(s.name, m.name) for s in platform.specs.values() for m in s.all(ModelSpec)]
    )
    versions = [v for system, name in names for v in platform.system(system).registry(name).versions()]
    rows = [
        {
            "model": v.model,
            "version": v.version,
            "aliases": ", ".join(v.aliases),
            **_held_out(v.metrics),
            "digest": v.digest[:12],
            "created": v.created_at,
        }
        for v in versions
    ]
    if json:
        show(versions, as_json=True)
    else:
        show(rows, as_json=False)
    return 0


def predict(
    endpoint: str, instances: str | None = None, *, file: Path | None = None, url: str | None = None, json: Json = False
) -> int:
    """Ask an endpoint through the HTTP gateway. The API key is read from MLPLATFORM_API_KEY.

    Parameters
    ----------
    endpoint
        The endpoint's name, e.g. stock_prices.
    instances
        One JSON object, or a list of them.
    file
        A file instead: .csv with a header, else JSON; - is standard input.
    url
        The gateway's address; default: this profile's.
    """
    import httpx

    from mlplatform.platform import open_platform

    if (instances is None) == (file is None):
        raise DataError(
            "Expected either instances or --file.",
            next_step="""mlplatform predict stock_prices '{"ticker_symbol": "AAPL", …}'""",
        )
    csv = file is not None and file.suffix == ".csv"
    body = read_bytes(file) if file is not None else (instances or "").encode()
    headers = {"content-type": "text/csv; header=present" if csv else "application/json"}
    if os.environ.get("MLPLATFORM_API_KEY"):
        headers["authorization"] = f"Bearer {os.environ['MLPLATFORM_API_KEY']}"
    if url is None:
        addresses = open_platform().profile.addresses
        url = f"http://{addresses.host}:{addresses.gateway_port}"
    url = url.rstrip("/")
    if not url.startswith(("http://", "https://")):
        raise DataError(f"'{url}' is no address of a gateway.", next_step="Write it as http://HOST:PORT.")
    try:
        answer = httpx.post(f"{url}/predict/{endpoint}", content=body, headers=headers, timeout=30)
    except httpx.TransportError as error:
        raise UnavailableError(
            f"The gateway at {url} does not answer: {error}.", next_step="Start it: mlplatform serve"
        ) from error
    if answer.is_error:
        _raise(answer.status_code, answer.text, endpoint)
    show(
        answer.json() if "json" in answer.headers["content-type"] else answer.text,
        as_json=json,
        text=None if json else answer.text,
    )
    return 0


def promote(endpoint: str, version: int, *, allow_signature_change: bool = False, json: Json = False) -> int:
    """Make a registered version the one that serves, or is used where nothing serves. It needs a passing verdict.

    Parameters
    ----------
    endpoint
        SYSTEM/ENDPOINT, or SYSTEM/MODEL of a model that no endpoint serves.
    version
        The model's version.
    allow_signature_change
        Also where callers would have to change what they send.
    """
    from mlplatform.platform import open_platform
    from mlplatform.spec.model import ModelSpec

    system, name = split_name(endpoint, "SYSTEM/ENDPOINT")
    platform = open_platform()
    stations = platform.system(system)
    if any(m.name == name for m in stations.spec.all(ModelSpec)):
        found = stations.registry(name).appoint(version)
        show(found, as_json=json, text=f"Version {found.version} of {found.model} is its champion.")
        return 0
    done = stations.rollout(name).promote(version, allow_signature_change=allow_signature_change)
    show(done, as_json=json, text=deployed(platform.endpoints, done))
    return 0


def rollback(endpoint: str, *, to: int | None = None, json: Json = False) -> int:
    """Serve again the version that an earlier generation served.

    Parameters
    ----------
    endpoint
        SYSTEM/ENDPOINT.
    to
        A generation; default: the one before the present version.
    """
    from mlplatform.platform import open_platform

    system, name = split_name(endpoint, "SYSTEM/ENDPOINT")
    platform = open_platform()
    done = platform.system(system).rollout(name).rollback(to=to)
    show(done, as_json=json, text=deployed(platform.endpoints, done))
    return 0


def lineage(inference_id: str, *, json: Json = False) -> int:
    """Say where one prediction came from: generation, version, training run, the exact training rows, code commit.

    Parameters
    ----------
    inference_id
        As the answer carried it.
    """
    from mlplatform.platform import open_platform

    record = open_platform().trace(inference_id)
    show(record.to_json(), as_json=json, text=record.text())
    return 0


def evaluations(monitor: str, *, limit: Count = 20, json: Json = False) -> int:
    """List what a monitor judged, newest last.

    Parameters
    ----------
    monitor
        SYSTEM/MONITOR.
    limit
        At most so many.
    """
    from mlplatform.platform import open_platform

    system, name = split_name(monitor, "SYSTEM/MONITOR")
    found = open_platform().system(system).evaluations(name)[-limit:]
    rows = [e.to_json() for e in found] if json else [e.summary() for e in found]
    show(rows, as_json=json)
    return 0


def requests(system: str, *, json: Json = False) -> int:
    """List trainings that were asked for: the first, and those a failed evaluation caused.

    Parameters
    ----------
    system
        Whose.
    """
    from mlplatform.platform import open_platform

    found = [r for retrain in open_platform().system(system).retrains() for r in retrain.requests()]
    columns = ("id", "status", "reason", "requested_at", "finished_at", "message")
    show([r.to_json() for r in found], as_json=json, columns=columns)
    return 0


@keys.command
def create(endpoint: str, label: str, *, expires: datetime | None = None, json: Json = False) -> int:
    """Make an API key and print it, once: only its hash is kept.

    Parameters
    ----------
    endpoint
        SYSTEM/ENDPOINT it opens; * opens all.
    label
        Whose it is; several keys may bear one label while they are rotated.
    expires
        When it ends, e.g. 2027-01-31; default: never.
    """
    from mlplatform.platform import open_platform
    from mlplatform.serving.api_keys import ANY

    platform, now = open_platform(), datetime.now(UTC)
    if expires and expires.astimezone(UTC) <= now:
        raise DataError(
            f"A key that ends {expires:%Y-%m-%d %H:%M} is never valid: that is past.",
            next_step="Give a time that lies ahead, or none for a key without an end.",
        )
    if endpoint != ANY:
        system, name = split_name(endpoint, "SYSTEM/ENDPOINT")
        platform.system(system).endpoint_parts(name)
    token, made = ApiKeys(platform.items).create(
        endpoint, label=label, now=now, expires_at=expires and expires.astimezone(UTC)
    )
    show({"token": token, **plain(made)}, as_json=json, text=f"{token}\n(id {made.id}; it is not shown again)")
    return 0


@keys.command(name="list")
def list_keys(endpoint: str | None = None, *, json: Json = False) -> int:
    """List keys by id and label, never the keys themselves.

    Parameters
    ----------
    endpoint
        Only those of SYSTEM/ENDPOINT.
    """
    show(_api_keys().list(endpoint), as_json=json)
    return 0


@keys.command
def revoke(key_id: str, *, json: Json = False) -> int:
    """Make a key invalid.

    Parameters
    ----------
    key_id
        As 'keys list' shows it.
    """
    done = _api_keys().revoke(key_id, now=datetime.now(UTC))
    show(done, as_json=json, text=f"{done.id} ({done.label}): revoked")
    return 0


def _api_keys() -> ApiKeys:
    from mlplatform.platform import open_platform

    return ApiKeys(open_platform().items)


def _raise(status: int, body: str, endpoint: str) -> None:
    try:
        error: dict[str, Any] = jsonlib.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        error = {"message": body[:300], "next_step": ""}
    kind = {401: PermissionDeniedError, 403: PermissionDeniedError, 404: NotFoundError}.get(status, DataError)
    if kind is PermissionDeniedError:
        error["next_step"] = (
            f"Set MLPLATFORM_API_KEY to a valid key; 'mlplatform keys create SYSTEM/{endpoint} LABEL' makes one."
        )
    if status >= 500 or status == 429:
        raise UnavailableError(f"HTTP {status}: {error['message']}", next_step=error.get("next_step", ""))
    raise kind(f"HTTP {status}: {error['message']}", next_step=error.get("next_step", ""))


def _held_out(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics on held-out rows, once: the job prints them as ``test_r2`` too."""
    return {
        n: value for n, value in metrics.items() if not (n.startswith("test_") and n.removeprefix("test_") in metrics)
    }
