"""What a new signature would break for callers of the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlplatform.core.packages.manifest import InputField, Signature


def breaking_changes(old: Signature, new: Signature) -> list[str]:
    """A sentence for each change after which a call that was answered would be refused, or answered in another form.

    Fields that a request names and the signature does not are refused, so that a removed input breaks callers too.
    """
    found: list[str] = []
    before = {field.name: field for field in old.inputs}
    after = {field.name: field for field in new.inputs}
    found += [f"field '{name}' is gone" for name in before if name not in after]
    found += [f"field '{name}' is new and required" for name, f in after.items() if _required(f) and name not in before]
    for name in before.keys() & after.keys():
        found += _field_changes(before[name], after[name])
    if old.task != new.task:
        found.append(f"task {old.task} became {new.task}")
    elif set(old.classes) != set(new.classes):
        found.append(f"classes {', '.join(old.classes)} became {', '.join(new.classes)}")
    return sorted(found)


def _required(field: InputField) -> bool:
    return field.missing == "refuse"


def _field_changes(old: InputField, new: InputField) -> list[str]:
    found = []
    if old.type != new.type:
        found.append(f"field '{old.name}' was {old.type}, is {new.type}")
    if not _required(old) and _required(new):
        found.append(f"field '{old.name}' may no longer be missing")
    if old.unseen == "flag" and new.unseen == "refuse" and new.type == "varchar":
        found.append(f"field '{old.name}' no longer takes unseen values")
    if new.minimum is not None and (old.minimum is None or old.minimum < new.minimum):
        found.append(f"field '{old.name}' has minimum {new.minimum:g}, had {_bound(old.minimum)}")
    if new.maximum is not None and (old.maximum is None or old.maximum > new.maximum):
        found.append(f"field '{old.name}' has maximum {new.maximum:g}, had {_bound(old.maximum)}")
    return found


def _bound(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"
