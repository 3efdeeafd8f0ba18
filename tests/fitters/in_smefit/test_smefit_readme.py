"""The commands of the adapter's README, in a folder of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fitter_runs import run_readme

pytest.importorskip("smefit", reason="runs where SMEFiT is installed")


def test_readme(tmp_path: Path) -> None:
    printed = run_readme("smefit", tmp_path)
    assert "Unbinned dataset zh_14tev" in " ".join(printed.split())
    result = json.loads(
        (tmp_path / "example/results/zh_example/fit_results.json").read_text(encoding="utf-8")
    )
    assert set(result["samples"]) == {"OpW", "O3pq", "OpqMi"}
