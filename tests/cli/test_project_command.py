"""smeft-unbinned project: files, notes, and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from commands import refuse, run


@pytest.fixture
def card(tmp_path: Path) -> Path:
    tables = Path(__file__).parents[2] / "theory_tables"
    path = tmp_path / "card.yaml"
    content = {
        "commondata_path": str(tables / "commondata"),
        "theory_path": str(tables / "theory"),
        "projections_path": "out",
        "datasets": ["ZH_14TeV_STXS"],
        "coefficients": {"OpW": {"constrain": True, "value": 0.2}},
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_files_of_another_luminosity(card: Path) -> None:
    result = run("project", card, "--luminosity", "3000")
    assert result.exit_code == 0, result.output
    assert "2 files, 1 datasets with" in " ".join(result.output.split())
    assert {p.name for p in (card.parent / "out").iterdir()} == {
        "ZH_14TeV_STXS_proj.yaml",
        "ZH_14TeV_STXS_proj.json",
    }
    assert run("project", card, "--noise", "L1", "--seed", "3").exit_code == 0
    assert (card.parent / "out" / "seed_3" / "ZH_14TeV_STXS.yaml").is_file()


def test_refusals(card: Path) -> None:
    assert "give its seed" in refuse("project", card, "--noise", "L1")
    assert "--luminosity must be a finite number above zero" in refuse("project", card, "--luminosity", "-1")
    assert "no such projection card" in refuse("project", card.parent / "none.yaml")
