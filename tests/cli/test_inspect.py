"""smeft-unbinned inspect: what it says of datasets and of responses, with and without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import CliRunner

from smeft_unbinned import (
    Component,
    Events,
    Polynomial,
    UnbinnedDataset,
    compress,
    to_sum_of_squares,
    train_responses,
)
from smeft_unbinned.cli import main
from smeft_unbinned.events import Nuisances


def inspect(path: Path, *options: str) -> str:
    result = CliRunner().invoke(main, ["inspect", str(path), *options])
    assert result.exit_code == 0, result.output
    return result.output


def words(text: str) -> str:
    """Return the text of a table without its lines."""
    return " ".join(text.replace("│", " ").split())


def test_a_plain_dataset(make_unbinned: Callable[..., UnbinnedDataset], tmp_path: Path) -> None:
    dataset = make_unbinned(n=40)
    dataset.replace(ratios=dataset.ratios.dense()).save(tmp_path / "d")
    text = words(inspect(tmp_path / "d"))
    assert "unbinned dataset, format" in text
    for line in (
        "events 40", "storage dense: 10 coefficients in 3 operators, float64", "nuisances none",
        "backgrounds 0", "replicas none",
    ):  # fmt: skip
        assert line in text
    for absent in ("compression", "low rank", "precision"):
        assert absent not in text


def test_storage_nuisances_backgrounds_and_networks(
    make_unbinned: Callable[..., UnbinnedDataset], tmp_path: Path
) -> None:
    dataset = make_unbinned(n=40)
    names = dataset.operators
    form, report = to_sum_of_squares(dataset.ratios, tolerance=1e-6)
    metadata = {"low_rank": report.manifest()}
    flat = Component(Polynomial((), np.full((40, 1), 0.1)), Polynomial((), [4.0]))
    replicas = Polynomial(names, np.stack([form.dense().coefficients] * 3))
    groups = Polynomial(names, np.stack([dataset.expected.coefficients / 5] * 5))
    response = Nuisances(("scale",), np.full((40, 1), 0.1), np.zeros((40, 1)))
    yields = Nuisances(("scale",), np.full((5, 1), 0.1), np.zeros((5, 1)))
    full = dataset.replace(
        ratios=form, metadata=metadata, backgrounds=[flat], replicas=replicas, expected=groups,
        response=response, expected_response=yields,
    )  # fmt: skip
    small = full.with_luminosity(0.02, "LUMI").astype("float32")
    small.save(tmp_path / "d")
    text = words(inspect(tmp_path / "d"))
    for line in (
        f"storage sums of squares of rank {form.factors.shape[1]} in 3 operators, float32",
        "nuisances scale, LUMI; 5 groups of events stand for the yield", "backgrounds 1",
        "replicas 3 networks, dense: 10 coefficients in 3 operators, float64",
        "low rank " + " ".join(str(report).split()),
        f"changes by {small.metadata['precision']['largest_change']:.2g} at most, at 64 points",
    ):  # fmt: skip
        assert line in text
    assert json.loads(inspect(tmp_path / "d", "--json"))["nuisances"] == ["scale", "LUMI"]


def test_the_certificate_of_a_compression(zh_events: Events, tmp_path: Path) -> None:
    form = zh_events.truth.restrict(["cHW"]).dense()
    weights = 1e-3 * np.asarray(zh_events.weights) / np.mean(np.asarray(zh_events.weights))
    weights *= 200 / weights.sum()
    full = UnbinnedDataset("zh", form, form.sum(weights), weights)
    small = compress(full)
    small.save(tmp_path / "d")
    record = small.metadata["compression"]
    text = words(inspect(tmp_path / "d"))
    assert f"compression 4,000 -> {len(small):,} events" in text
    assert f"-2 log L changes by {record['certificate']['largest']:.3g} at most" in text
    assert "up to 25 above its minimum (tolerance 0.05), found at cHW = " in text


def test_responses_and_their_errors_without_torch(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    events = Events(pd.DataFrame({"x": rng.normal(size=400)}))
    linear = np.stack([0.1 * events.column("x"), 0.1 * rng.normal(size=400)], axis=1)
    true = Nuisances(("known", "hidden"), linear, np.zeros_like(linear))
    learned = train_responses(
        events, true, one_sided=("known",), replicas=1, hidden=(8,), epochs=20, batch=64, seed=1
    )
    learned.save(tmp_path / "r")
    code = (
        "import sys; from click.testing import CliRunner; from smeft_unbinned.cli import main;"
        f"print(CliRunner().invoke(main, ['inspect', {str(tmp_path / 'r')!r}]).output);"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = words(done.stdout)
    table = learned.held_out()
    assert "responses to nuisances" in text
    assert f"known {table.loc['known', 'up']:.4g} nan" in text
    assert f"hidden {table.loc['hidden', 'up']:.4g} {table.loc['hidden', 'down']:.4g}" in text
    assert table.loc["known", "up"] < 0.2
    for note in learned.notes:
        assert note.split("(")[0].strip() in text
