"""What an edit of a system's YAML would change on the live one: stations, fields, and what follows for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from mlplatform.spec.system import SPECS, SystemSpec

Reach = Literal["nothing", "assets", "table", "endpoint", "retraining", "refused"]


@dataclass(frozen=True)
class Change:
    """One difference. `reach` is how far it goes; `effect` says it in words; `refused` cannot be done to live state."""

    action: Literal["add", "remove", "change"]
    kind: str
    station: str
    field: str
    before: Any
    after: Any
    reach: Reach
    effect: str


def snapshot(system: SystemSpec) -> dict[str, Any]:
    """The system as JSON, to be kept as what is applied."""
    kinds = {spec: name for name, spec in SPECS.items()}
    return {
        "stations": {s.name: {"type": kinds[type(s)], **s.model_dump(mode="json")} for s in system.stations},
        "queries": {p.name: p.read_text("utf-8") for p in sorted(system.folder.glob("*.sql"))},
    }


def diff(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Change]:
    """Changes from one `snapshot` to another; `before` None is a system that is not applied yet."""
    old: Mapping[str, Any] = before["stations"] if before else {}
    new: Mapping[str, Any] = after["stations"]
    changes: list[Change] = []
    for name in sorted({*old, *new}):
        if name not in old:
            changes.append(_whole("add", new[name]))
        elif name not in new:
            changes.append(_whole("remove", old[name]))
        elif old[name]["type"] != new[name]["type"]:
            changes += [_whole("remove", old[name]), _whole("add", new[name])]
        else:
            changes += _fields(_as_now(old[name]), new[name])
    if before is not None:
        changes += _queries(before["queries"], after)
    return changes


def _as_now(station: Mapping[str, Any]) -> Mapping[str, Any]:
    """A station as kept by an earlier release, with the defaults of what that did not know."""
    kind = station["type"]
    try:
        spec = SPECS[kind].model_validate({k: v for k, v in station.items() if k != "type"})
    except (KeyError, ValidationError):
        return station
    return {"type": kind, **spec.model_dump(mode="json")}


def _queries(old: Mapping[str, str], after: Mapping[str, Any]) -> Iterator[Change]:
    new: Mapping[str, str] = after["queries"]
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):
            continue
        for station in after["stations"].values():
            if station.get("query") == name:
                effect = "the next refresh trains on what the new query selects"
                yield Change(
                    "change", station["type"], station["name"], name, old.get(name), new.get(name), "retraining", effect
                )


_ADD = {
    "mlplatform.Stream": ("assets", "makes the stream and its shards"),
    "mlplatform.Table": ("table", "makes the table and loads what lies under its sources' prefixes"),
    "mlplatform.Endpoint": ("endpoint", "adds the route; it answers after the first refresh"),
    "mlplatform.Model": ("retraining", "trains at the next refresh"),
}
_REMOVE = {
    "mlplatform.Stream": (
        "assets",
        "delivery stops; stored records stay until their retention ends or 'mlplatform destroy'",
    ),
    "mlplatform.Table": ("table", "loading stops; the rows stay until 'mlplatform destroy'"),
    "mlplatform.Endpoint": (
        "endpoint",
        "the route is refused from the next start on; it stays deployed, and is paid for where a service serves it, "
        "until 'mlplatform destroy SYSTEM/ENDPOINT'",
    ),
    "mlplatform.Monitor": ("assets", "nothing is judged any more, and nothing asks for a retraining"),
}


def _whole(action: Literal["add", "remove"], station: Mapping[str, Any]) -> Change:
    table = _ADD if action == "add" else _REMOVE
    reach, effect = table.get(station["type"], ("assets", f"{action}s its assets, checks and sensors"))
    return Change(action, station["type"], station["name"], "", None, None, reach, effect)  # type: ignore[arg-type]


_EFFECTS: dict[tuple[str, str], tuple[Reach, str]] = {
    ("Stream", "delivery"): ("assets", "delivery goes on under the new settings; objects delivered before stay loaded"),
    ("Stream", "retention_h"): ("assets", "records older than the new retention are trimmed in the worker's next round"),
    ("Stream", "partition_key"): ("assets", "records put from now on go to the shard of the new key; the order of one key holds only from then on"),
    ("Table", "unique_key"): ("table", "holds for rows loaded from now on; rows already there are not compared again"),
    ("Table", "event_time"): ("table", "windows and receipts follow the new column from the next load on"),
    ("FeatureSet", "anonymous"): ("retraining", "holds from the next refresh on; what was told before stays told"),
    ("Table", "sources"): ("table", "loads what lies under the new prefixes; rows already loaded stay"),
    ("Table", "future_s"): ("table", "judges records that arrive from now on; those in quarantine can be replayed"),
    ("Table", "retention_days"): ("table", "the worker's next round deletes every row and quarantined record that is older, for good"),
    ("Table", "connection"): ("refused", "the rows lie behind the old connection; unload them there and load them under a new table's name"),
    ("Table", "existing"): ("table", "reads another table; monitors and features follow it at once"),
    ("FeatureSet", "split"): ("retraining", "other rows are held out: the champion may have been trained on some of them, so it is compared only on rows behind both windows"),
    ("FeatureSet", "expectations"): ("assets", "judged before the next training"),
    ("FeatureSet", "target"): ("retraining", "the next refresh trains another target: the endpoint refuses it until the change of signature is agreed to"),
    ("FeatureSet", "features"): ("retraining", "the next refresh trains on them; if requests must change, the endpoint refuses the version until that is agreed to"),
    ("Model", "gate"): ("assets", "judges the next candidate; versions already registered keep their verdicts"),
    ("Model", "task"): ("retraining", "another kind of answer: the endpoint refuses it until the change of signature is agreed to"),
    ("Endpoint", "model"): ("endpoint", "serves the other model from its next refresh on"),
    ("Endpoint", "public"): ("endpoint", "API keys are asked for, or not, from the next generation on"),
    ("Monitor", "window"): ("assets", "windows not judged yet are cut anew; those judged stay as they are"),
    ("Refresh", "schedule"): ("assets", "the schedule ticks at the new times after the next reload"),
}  # fmt: skip
_KIND_EFFECTS: dict[str, tuple[Reach, str]] = {
    "FeatureSet": ("retraining", "the next refresh trains on other rows"),
    "Model": ("retraining", "the next refresh trains with it"),
    "Endpoint": ("endpoint", "holds from the endpoint's next generation on"),
    "Monitor": ("assets", "holds for windows not judged yet"),
}
_WORDS_ONLY = ("description", "owners")


def _fields(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    kind = new["type"].removeprefix("mlplatform.")
    for field in sorted({*old, *new} - {"type", "name"}):
        was, now = old.get(field), new.get(field)
        if was == now:
            continue
        if kind == "Table" and field == "columns":
            yield from _columns(new["name"], was or [], now or [])
            continue
        if field in _WORDS_ONLY:
            reach, effect = ("nothing", "shown in the UI after the next reload")
        elif (kind, field) == ("Stream", "shards"):
            reach, effect = _shards(was, now)
        else:
            reach, effect = _EFFECTS.get((kind, field)) or _KIND_EFFECTS.get(
                kind, ("assets", "holds after the next reload")
            )
        yield Change("change", new["type"], new["name"], field, was, now, reach, effect)  # type: ignore[arg-type]


def _shards(was: Any, now: Any) -> tuple[Reach, str]:
    if now < was:
        return "refused", "shards cannot be taken away: records in them are still to be delivered"
    return (
        "assets",
        "new shards take their share of the keys from the next put on; the order of one key holds only from then on",
    )


_WIDER = {("bigint", "double"), ("date", "timestamp")}


def _columns(table: str, old: list[Mapping[str, Any]], new: list[Mapping[str, Any]]) -> Iterator[Change]:
    was, now = {c["name"]: c for c in old}, {c["name"]: c for c in new}
    for name in [*was, *(n for n in now if n not in was)]:
        field = f"columns.{name}"
        if name not in now:
            yield Change(
                "remove",
                "mlplatform.Table",
                table,
                field,
                was[name]["type"],
                None,
                "table",
                "the column stays in the table, and is NULL in new rows",
            )
        elif name not in was:
            yield Change(
                "add",
                "mlplatform.Table",
                table,
                field,
                None,
                now[name]["type"],
                "table",
                "the column is added; NULL in the rows already there",
            )
        elif was[name]["type"] != now[name]["type"]:
            before, after = was[name]["type"], now[name]["type"]
            wider = after == "varchar" or (before, after) in _WIDER
            effect = (
                "the column is widened in place"
                if wider
                else f"{before} cannot become {after} without loss: load into a new column instead"
            )
            yield Change(
                "change", "mlplatform.Table", table, field, before, after, "table" if wider else "refused", effect
            )
        elif {**was[name], "personal": None} == {**now[name], "personal": None} and was[name] != now[name]:
            yield Change(
                "change",
                "mlplatform.Table",
                table,
                f"{field}.personal",
                was[name]["personal"],
                now[name]["personal"],
                "table",
                "its values are told, or not, from the next start on; what was told before stays told",
            )
        elif was[name] != now[name]:
            yield Change(
                "change",
                "mlplatform.Table",
                table,
                field,
                was[name],
                now[name],
                "table",
                "holds for records that arrive from now on; rows already there stay",
            )
