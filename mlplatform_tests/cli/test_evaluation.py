"""`evaluation:` in a system's YAML: its container's metrics are beside the candidate's own, and its refusal is the run's."""

from __future__ import annotations

import pytest

from mlplatform.errors import JobError, NotFoundError
from mlplatform.platform.line import build_features, train_candidate
from mlplatform_tests.cli.commands import Shell, make_shell
from mlplatform_tests.spec.editing import edit

pytestmark = pytest.mark.slow
WITHIN = """
import json, os, pathlib, sys
import pyarrow as pa, pyarrow.parquet as pq
from mlplatform.adapters.runtimes import PackageRuntimes

folder = {name: pathlib.Path(os.environ["MLPLATFORM_INPUT_" + name]) for name in ("MODEL", "TEST", "SPEC")}
about = json.loads((folder["SPEC"] / "evaluation.json").read_text())
rows = pa.concat_tables(pq.read_table(p, partitioning=None) for p in sorted(folder["TEST"].rglob("*.parquet")))
predicted = PackageRuntimes().load(folder["MODEL"]).predict_table(rows)
truth = rows.column(about["target"]).to_numpy()
within = float((abs(predicted - truth) <= 0.5 * abs(truth)).mean())
out = pathlib.Path(os.environ["MLPLATFORM_OUTPUT_EVALUATION"])
(out / "metrics.json").write_text(json.dumps({"within_half": within}))
if within < float(sys.argv[1]):
    sys.exit(f"only {within:.2f} of the predictions are within half of the truth")
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """A project with a container of its own, which its YAML names; features are built."""
    found = make_shell(tmp_path_factory.mktemp("evaluation"))
    (found.root / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n')
    container = found.root / "containers" / "within"
    container.mkdir(parents=True)
    (container / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "job.py"]\n')
    (container / "job.py").write_text(WITHIN)
    asked(found, "  container: within\n    arguments: ['0.1']")
    assert found.load_days(0, 30) == 30 * 20
    build_features(found.platform().system("stock_prices"), "stock_features", parameters={}, run_id="r", request=None)
    return found


def asked(shell: Shell, evaluation: str) -> None:
    """Let the model's YAML have that evaluation."""
    path = shell.defs / "stock_prices" / "defs.yaml"
    text = path.read_text()
    before = text[text.index("  evaluation:") : text.index("  gate:")] if "  evaluation:" in text else ""
    path.write_text(text.replace(before, "") if before else text)
    edit(path, "  gate:", f"  evaluation:\n  {evaluation}\n  gate:")


def test_the_metrics_of_the_container_are_on_the_candidates_page_and_in_the_tracker(
    shell: Shell,
) -> None:
    stations = shell.platform().system("stock_prices")
    step = train_candidate(stations, "stock_model", run_id="r", request=None, on_log=lambda _: None)
    value = step.metadata["evaluation_within_half"]
    assert 0.1 <= value <= 1.0
    assert step.metadata["evaluation_job"].endswith("-p1")
    left = {info.key for info in stations.platform.store.list(step.metadata["evaluation_reports"])}
    assert {key.rpartition("/")[2] for key in left} == {"metrics.json"}


def test_a_refusal_of_the_container_ends_the_run_before_the_gate(shell: Shell) -> None:
    asked(shell, "  container: within\n    arguments: ['1.1']")
    stations = shell.platform().system("stock_prices")
    with pytest.raises(JobError, match="of the predictions are within half of the truth, exit code: 1"):
        train_candidate(stations, "stock_model", run_id="r", request=None, on_log=lambda _: None)


def test_a_container_that_is_not_there_is_told_before_anything_is_trained(shell: Shell) -> None:
    asked(shell, "  container: nowhere")
    stations = shell.platform().system("stock_prices")
    lines: list[str] = []
    with pytest.raises(NotFoundError, match=r"There is no container 'nowhere'; there are: .*within"):
        train_candidate(stations, "stock_model", run_id="r", request=None, on_log=lines.append)
    assert lines == []
