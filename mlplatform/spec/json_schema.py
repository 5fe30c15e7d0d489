"""JSON Schema of a system's YAML and of a profile, by which editors complete, explain and check while one types.

Draft 7, which every editor's language server reads. What only the loader can know (names of other stations, columns of a
query, either-or) is not in it: `dg check yaml` and `mlplatform plan` say that.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic.json_schema import models_json_schema

from mlplatform.core.tables.schema import ScalarType
from mlplatform.spec.profile import Profile
from mlplatform.spec.station import NAME
from mlplatform.spec.system import SPECS

DRAFT = "http://json-schema.org/draft-07/schema#"
FOLDER = "schema"
"""Folder of a project in which its schemas lie."""
SYSTEM_FILE, PROFILE_FILE = "system.json", "profile.json"


def system_schema() -> dict[str, Any]:
    """Of one document of a `defs.yaml`; one of a type that is not this platform's may hold anything."""
    found, whole = models_json_schema(
        [(spec, "validation") for spec in SPECS.values()], ref_template="#/definitions/{model}"
    )
    definitions = _plain(whole["$defs"])
    definitions["ColumnSpec"]["properties"]["type"]["anyOf"] = [
        {"enum": [*get_args(ScalarType)]},
        {"pattern": r"^decimal\(\d{1,2},\d{1,2}\)$"},
    ]
    for spec in SPECS.values():
        definitions[spec.__name__]["properties"]["name"]["pattern"] = f"^{NAME}$"
    kinds = [
        {
            "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
            "then": {"properties": {"attributes": _plain(found[spec, "validation"])}, "required": ["attributes"]},
        }
        for kind, spec in SPECS.items()
    ]
    own = {"enum": [*SPECS], "description": "What kind of station this document is."}
    others = {"type": "string", "not": {"pattern": r"^mlplatform\."}}
    return {
        "$schema": DRAFT,
        "title": "A station of a system of mlplatform",
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"anyOf": [own, others]},
            "attributes": {"type": "object", "description": "The station's own keys."},
            "requirements": {"type": "object", "description": "Dagster's: environment variables that must be set."},
            "post_processing": {"type": "object", "description": "Dagster's: attributes added to the assets."},
            "template_vars_module": {"type": "string", "description": "Dagster's."},
        },
        "additionalProperties": False,
        "allOf": kinds,
        "definitions": definitions,
    }


def profile_schema() -> dict[str, Any]:
    """Of a profile, a file under `profiles/`."""
    whole = _plain(Profile.model_json_schema(ref_template="#/definitions/{model}"))
    definitions = whole.pop("$defs")
    return {"$schema": DRAFT, "title": "A profile of mlplatform", **whole, "definitions": definitions}


def schemas() -> dict[str, str]:
    """Each schema's file name and text."""
    found = {SYSTEM_FILE: system_schema(), PROFILE_FILE: profile_schema()}
    return {name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n" for name, schema in found.items()}


def write_schemas(folder: Path) -> list[Path]:
    """Write both schemas into `folder`; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in schemas().items():
        (folder / name).write_text(text, "utf-8")
        written.append(folder / name)
    return written


def schema_line(file: Path, schema: Path) -> str:
    """The comment by which an editor's language server finds a YAML file's schema."""
    return f"# yaml-language-server: $schema={os.path.relpath(schema, file.parent)}\n"


def _plain(node: Any) -> Any:
    """Without generated titles; a reference stands alone, since Draft 7 looks at nothing beside it."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    plain = {key: _plain(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    if "$ref" in plain and len(plain) > 1:
        return {"allOf": [{"$ref": plain.pop("$ref")}], **plain}
    return plain
