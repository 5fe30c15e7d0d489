"""Great Expectations: suites run on a frame in memory, Data Docs as static pages on disk, nothing sent anywhere.

A context is made for each check and forgotten; what lasts are the validation results and pages under
``<docs>/<suite>/``. Great Expectations takes 2 s to import, so it is imported by the first check, never by this module.
Settings: https://docs.greatexpectations.io/docs/reference/api/data_context/
"""

from __future__ import annotations

import copy
import difflib
import fcntl
import json
import shutil
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.driver_imports import DRIVER_IMPORTS
from mlplatform.adapters.expectations.masked_results import mask
from mlplatform.errors import SpecError
from mlplatform.ports.expectations import ExpectationReport, ExpectationResult
from mlplatform.spec.feature_set import ExpectationSpec

if TYPE_CHECKING:
    import pyarrow as pa

KEPT_RUNS = 50
"""Runs whose pages stay: the site's index is written anew with each, from all of them."""
_IN_PROCESS = threading.Lock()
_SEVERITY = {"block": "critical", "warn": "warning"}
_COLUMN_KEYS = ("column", "column_A", "column_B")


class GreatExpectations:
    """Implements `ports.expectations.Expectations`; `docs` is where the pages go, None = no pages."""

    def __init__(self, docs: Path | None) -> None:
        self._docs = docs

    def check(
        self,
        suite: str,
        table: pa.Table,
        expectations: Sequence[ExpectationSpec],
        *,
        run: str,
        personal: frozenset[str] = frozenset(),
    ) -> ExpectationReport:
        """See the port."""
        if not expectations:
            return ExpectationReport(())
        gx = _import()
        configured = [_configure(gx, suite, i, spec, table) for i, spec in enumerate(expectations)]
        site = None if self._docs is None else self._docs / suite
        with _alone(site):
            if personal:
                outcome, added = _run(gx, suite, configured, table, run, None)
                for validation in outcome.run_results.values():
                    mask(validation.results, personal)
                if site is not None:
                    _publish(gx, outcome, added, site)
            else:
                outcome, added = _run(gx, suite, configured, table, run, site)
        (result,) = outcome.run_results.values()
        by_id = {r.expectation_config.id: r for r in result.results}
        results = tuple(_result(spec, by_id[e.id]) for spec, e in zip(expectations, added, strict=True))
        return ExpectationReport(results, None if site is None else site / "index.html")


@contextmanager
def _alone(site: Path | None) -> Iterator[None]:
    """One check at a time: in a process, where the library has one context for all, and over a site's folder."""
    with _IN_PROCESS:
        if site is None:
            yield
            return
        site.mkdir(parents=True, exist_ok=True)
        with (site / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _prune(site)
            yield


def _run(gx: Any, suite: str, configured: list[Any], table: pa.Table, run: str, site: Path | None) -> tuple[Any, Any]:
    """The checkpoint's result, and the expectations as the suite numbered them."""
    context = gx.get_context(project_config=_config(site), mode="ephemeral")
    rows = context.data_sources.add_pandas("frame").add_dataframe_asset("rows")
    batch = rows.add_batch_definition_whole_dataframe("all")
    added = context.suites.add(gx.ExpectationSuite(name=suite.replace("/", "-"), expectations=configured))
    validation = context.validation_definitions.add(gx.ValidationDefinition(name="rows", data=batch, suite=added))
    actions = [] if site is None else [gx.checkpoint.UpdateDataDocsAction(name="pages", site_names=["site"])]
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(name="check", validation_definitions=[validation], actions=actions, result_format="SUMMARY")
    )
    outcome = checkpoint.run(batch_parameters={"dataframe": table.to_pandas()}, run_id=gx.RunIdentifier(run_name=run))
    return outcome, added.expectations


def _publish(gx: Any, outcome: Any, expectations: Sequence[Any], site: Path) -> None:
    """Keep results and write pages as a checkpoint does by itself, of results that were masked meanwhile."""
    from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier

    context = gx.get_context(project_config=_config(site), mode="ephemeral")
    for key, validation in outcome.run_results.items():
        copies = [copy.copy(e) for e in expectations]
        context.suites.add(gx.ExpectationSuite(name=validation.suite_name, expectations=copies))
        context.validation_results_store.set(key, validation)
        pages = [key, ExpectationSuiteIdentifier(name=validation.suite_name)]
        context.build_data_docs(site_names=["site"], resource_identifiers=pages)


def _import() -> Any:
    with DRIVER_IMPORTS, warnings.catch_warnings():
        # It imports a module of Python's that is deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations as gx
        import great_expectations.checkpoint
        import great_expectations.expectations.registry
    return gx


def _config(site: Path | None) -> Any:
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        FilesystemStoreBackendDefaults,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    sites: dict[str, Any] = {}
    if site is not None:
        sites["site"] = {
            "class_name": "SiteBuilder",
            "show_how_to_buttons": False,
            "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)},
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        }
    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        data_docs_sites=sites,
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    if site is None:
        return config
    stored = FilesystemStoreBackendDefaults(root_directory=str(site / "results"))
    name = config.validation_results_store_name
    config.stores[name] = stored.stores[stored.validation_results_store_name]
    return config


def _prune(site: Path) -> None:
    """Remove the oldest runs' results and pages, so that with the one to come `KEPT_RUNS` are left."""
    for folder in (site / "results" / "uncommitted" / "validations", site / "validations"):
        runs = sorted(folder.glob("*/*"), key=lambda path: path.stat().st_mtime_ns)
        for run in runs[: max(0, len(runs) - KEPT_RUNS + 1)]:
            shutil.rmtree(run)


def _configure(gx: Any, suite: str, index: int, spec: ExpectationSpec, table: pa.Table) -> Any:
    where = f"Suite '{suite}', expectation {index + 1} '{spec.type}'"
    known = gx.expectations.registry.list_registered_expectation_implementations()
    if spec.type not in known:
        near = difflib.get_close_matches(spec.type, known, n=3) or sorted(known)[:3]
        raise SpecError(f"{where}: there is no such expectation.", next_step=f"Nearest: {', '.join(near)}.")
    for key in _COLUMN_KEYS:
        column = spec.kwargs.get(key)
        if isinstance(column, str) and column not in table.column_names:
            raise SpecError(f"{where}: the rows have no column '{column}'; they have: {', '.join(table.column_names)}.")
    try:
        return gx.expectations.registry.get_expectation_impl(spec.type)(
            **{"severity": _SEVERITY[spec.severity], **spec.kwargs}
        )
    except (TypeError, ValueError) as error:
        raise SpecError(f"{where}: {_first_fault(error)}") from error


def _first_fault(error: Exception) -> str:
    faults = getattr(error, "errors", None)
    if callable(faults):
        return "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in faults()) + "."
    return f"{error}."


def _result(spec: ExpectationSpec, result: Any) -> ExpectationResult:
    document = json.loads(json.dumps(result.to_json_dict(), default=str))
    exception = _exception(document.get("exception_info") or {})
    return ExpectationResult(
        type=spec.type,
        kwargs=spec.kwargs,
        severity=spec.severity,
        passed=bool(result.success) and not exception,
        observed=document.get("result") or {},
        error=exception,
    )


def _exception(info: Mapping[str, Any]) -> str:
    """The message of the first exception in `info`, which is either one entry or one a metric."""
    entries = [info] if "raised_exception" in info else [v for v in info.values() if isinstance(v, dict)]
    return next((str(e.get("exception_message")) for e in entries if e.get("raised_exception")), "")
