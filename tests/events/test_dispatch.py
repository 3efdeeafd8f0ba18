"""read_events: the reader follows from the name of the file, and options it does not know are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import InputError
from smeft_unbinned.events import read_events
from smeft_unbinned.events.dispatch import file_format, read_points

POINTS = "sm: {}\nhalf: {cHW: 0.5}\none: {cHW: 1.0}\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A CSV table with r = (1 + x cHW)^2 and the points of its weights."""
    x = np.linspace(0.1, 0.9, 5)
    frame = pd.DataFrame({"x": x, "sm": 0.2, "half": 0.2 * (1 + 0.5 * x) ** 2, "one": 0.2 * (1 + x) ** 2})
    frame.to_csv(tmp_path / "events.csv", index=False)
    (tmp_path / "points.yaml").write_text(POINTS)
    return tmp_path / "events.csv"


def test_a_table_with_points(table: Path) -> None:
    events = read_events([table], points=table.with_name("points.yaml"))
    assert events.operators == ("cHW",)
    x = events.column("x")
    np.testing.assert_allclose(
        events.truth.coefficients, np.stack([np.ones(5), 2 * x, x**2], axis=1), rtol=1e-10
    )
    assert events.weights.sum() == pytest.approx(1.0)


def test_features_can_be_renamed(table: Path) -> None:
    events = read_events([table], observables={"energy": "x"}, points=table.with_name("points.yaml"))
    assert list(events.features) == ["energy"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.LHE", "LHE"), ("a.lhe.gz", "LHE"), ("b.h5", "MadMiner"), ("c.root", "ROOT"), ("d.parquet", "table")],
)
def test_format_by_name(name: str, kind: str) -> None:
    assert file_format(name) == kind


def test_what_does_not_fit_is_refused(table: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"cannot tell the format of x\.dat by its name; known endings are \.lhe"
    ):
        read_events(["x.dat"])
    with pytest.raises(InputError, match="files of one format, got LHE, table"):
        read_events([table, "a.lhe"])
    with pytest.raises(InputError, match="table files take no max_events"):
        read_events([table], max_events=3)
    with pytest.raises(InputError, match="MadMiner files take no points"):
        read_events(["a.h5"], points="points.yaml")
    with pytest.raises(InputError, match="ROOT files need the branches"):
        read_events(["a.root"])
    with pytest.raises(InputError, match="one MadMiner file, got 2"):
        read_events(["a.h5", "b.h5"])


@pytest.mark.parametrize("text", ["[1, 2]", "sm: 3", "{", "sm: {cHW: x}", "sm: {cHW: true}"])
def test_files_of_points_that_cannot_be_used(text: str, tmp_path: Path) -> None:
    (tmp_path / "points.yaml").write_text(text)
    with pytest.raises(InputError, match=r"points\.yaml"):
        read_points(tmp_path / "points.yaml")
    with pytest.raises(InputError, match="no such file of points"):
        read_points(tmp_path / "absent.yaml")
