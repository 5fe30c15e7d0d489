"""The model package: a directory whose `model.json` names every other file with its hash.

    model.json        this manifest; the SHA-256 of its canonical JSON is the model's digest
    transforms.json   fitted transforms (`core.features`)
    model.onnx        the model for ONNX Runtime, where it converts
    model.ubj         XGBoost's own format
    scorer.py         the program that loads any other model, in a process and an environment of its own,
    requirements.lock   which is made from this
    baseline.json     profile of the training rows (`core.drift`), what monitors compare with
    evaluation.json   metrics on validation and held-out rows

No file that the platform's own processes load is a pickle. What `scorer.py` loads may be one: it is trained, kept and
loaded by its hash, in that environment only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mlplatform.errors import StateError

FORMAT_VERSION = 1
MANIFEST = "model.json"

Runtime = Literal["onnx", "xgboost", "process"]
Task = Literal["regression", "binary", "multiclass"]


@dataclass(frozen=True)
class InputField:
    """One input of the signature.

    Attributes:
        type: ``double`` or ``varchar`` (a category, or a free text).
        missing: what a NULL, NaN or absent value means: ``refuse``, ``keep``, ``median``.
        unseen: what a category not met in training means, or a text of which no term was: ``flag`` (own code, and a flag in
            the answer) or ``refuse``.
        minimum, maximum: bounds of accepted values, inclusive.
        personal: a value is not told by errors.
        terms: of a free text, how many of its terms become inputs at most; 0: it is none.
    """

    name: str
    type: Literal["double", "varchar"]
    missing: Literal["refuse", "keep", "median"] = "refuse"
    unseen: Literal["flag", "refuse"] = "flag"
    minimum: float | None = None
    maximum: float | None = None
    description: str = ""
    personal: bool = False
    terms: int = 0

    @property
    def is_text(self) -> bool:
        """Whether its values are free text, rather than a number or a category."""
        return self.terms > 0


@dataclass(frozen=True)
class Signature:
    """What callers send and get; part of the model's version."""

    inputs: tuple[InputField, ...]
    task: Task
    target: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """The content of `model.json`.

    Attributes:
        runtime: what serves it (`onnx` after the conversion agreed with the original on held-out rows; `process`: a program
            of the package's own, beside the process that serves).
        files: file name → SHA-256 hex, all files but `model.json`.
        snapshot: the SnapshotRef (as JSON) of the rows it was trained, validated and held out on.
        code_version: of the code that asked for the job, and the container with its digest.
        trained_to: the greatest value of the window's column among the rows, as text; monitors start behind it.
        parameters: hyperparameters as used. metrics: of the held-out rows, by name.
    """

    model: str
    signature: Signature
    runtime: Runtime
    files: dict[str, str]
    snapshot: dict[str, Any]
    training_job: str
    code_version: str
    trained_to: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    format_version: int = FORMAT_VERSION

    def canonical(self) -> bytes:
        """Canonical JSON: sorted keys, no spaces, UTF-8; `personal` and `terms` only where they say something (packages are older)."""
        content = asdict(self)
        for field_ in content["signature"]["inputs"]:
            for name in ("personal", "terms"):
                if not field_[name]:
                    del field_[name]
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def digest(self) -> str:
        """SHA-256 hex of the canonical JSON: the model's identity."""
        return hashlib.sha256(self.canonical()).hexdigest()

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Manifest:
        """Read one back. Raises StateError for another format version or missing fields."""
        if data.get("format_version") != FORMAT_VERSION:
            raise StateError(
                f"model package of format {data.get('format_version')}; this release reads {FORMAT_VERSION}."
            )
        try:
            signature = data["signature"]
            fields = tuple(InputField(**f) for f in signature["inputs"])
            return cls(
                **{
                    **data,
                    "signature": Signature(fields, signature["task"], signature["target"], tuple(signature["classes"])),
                }
            )
        except (KeyError, TypeError) as error:
            raise StateError(f"model package's {MANIFEST} is damaged: {error}.") from error


def write_manifest(directory: Path, manifest: Manifest) -> str:
    """Write `model.json`, last of a package's files; returns the digest."""
    (directory / MANIFEST).write_bytes(manifest.canonical())
    return manifest.digest


def read_package(directory: Path, *, digest: str | None = None) -> Manifest:
    """The manifest of the package in `directory`, after every file was checked against its hash.

    Raises:
        StateError: a file is missing, changed or not listed, or the digest is not `digest`; the message names the file.
    """
    path = directory / MANIFEST
    try:
        data = json.loads(path.read_bytes())
        held = {entry.name for entry in directory.iterdir()}
    except (OSError, ValueError) as error:
        raise StateError(f"no readable model package at '{directory}': {error}.") from error
    manifest = Manifest.from_json(data)
    if digest is not None and manifest.digest != digest:
        raise StateError(f"model package at '{directory}' has digest {manifest.digest[:12]}…, expected {digest[:12]}….")
    # A program of the package could import it, and no hash speaks for it.
    unlisted = sorted(held - {MANIFEST, *manifest.files})
    if unlisted:
        some = ", ".join(repr(name) for name in unlisted[:5]) + (", …" if len(unlisted) > 5 else "")
        raise StateError(f"model package at '{directory}' holds what its {MANIFEST} does not list: {some}.")
    for name, expected in manifest.files.items():
        try:
            found = file_digest(directory / name)
        except OSError as error:
            raise StateError(f"model package at '{directory}' lacks '{name}': {error}.") from error
        if found != expected:
            raise StateError(
                f"'{name}' of the model package at '{directory}' is damaged: SHA-256 {found[:12]}…, expected {expected[:12]}…."
            )
    return manifest


def file_digest(path: Path) -> str:
    """SHA-256 hex of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
