"""A system to break."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform_tests.spec.editing import EXAMPLES


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A copy of the stock price system to break."""
    folder = tmp_path / "stock_prices"
    folder.mkdir()
    for name in ("defs.yaml", "features.sql"):
        (folder / name).write_text((EXAMPLES / "stock_prices" / name).read_text())
    return folder / "defs.yaml"
