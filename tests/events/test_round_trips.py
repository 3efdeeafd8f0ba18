"""Exact pp -> ZH events, written as each format and read back: the same polynomials, weights and features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from event_writers import Weighted, from_events, madminer_fields, write_madminer, write_root
from lhe_writer import Lhe

from smeft_unbinned.events import Events, read_lhe, read_madminer, read_root, read_table
from smeft_unbinned.processes import vh, vh_kinematics

OPERATORS = ("cHW", "cHq3", "cHWtil")
CARD = "BLOCK SMEFT #\n  1 0.0 # chw\n  2 0.0 # chq3\nBLOCK SMEFTCPV #\n  1 0.0 # chwtil\n"
PLACES = ("smeft 1", "smeft 2", "smeftcpv 1")


@pytest.fixture(scope="module")
def events() -> Events:
    return vh.generate(200, operators=OPERATORS, seed=11, unweighted=False)


@pytest.fixture(scope="module")
def weighted(events) -> Weighted:
    return from_events(events, scale=0.5)


def through_lhe(folder: Path, sample: Weighted) -> Events:
    texts = {
        label: "\n".join(
            f"set param_card {place} {x!r} # orig: 0.0" for place, x in zip(PLACES, row, strict=True) if x
        )
        for label, row in zip(sample.labels, sample.points.tolist(), strict=True)
    }
    momenta = [p[:, [1, 2, 3, 0]].tolist() for p in vh_kinematics.momenta(sample.features)]
    particles = [dict(zip((11, -11, 25), event, strict=True)) for event in zip(*momenta, strict=True)]
    n, total = len(sample.features), float(sample.coefficients[:, 0].sum())
    file = Lhe(
        sample.weights * n,
        texts,
        sample.weights[:, 0] * n,
        xsec=total,
        card=CARD,
        energy=7000.0,
        particles=particles,
    )
    return read_lhe(file.write(folder / "zh.lhe.gz"), observables=["mass[l++l-+h]", "pt[l++l-]", "pt[h]"])


def through_madminer(folder: Path, sample: Weighted) -> Events:
    return read_madminer(write_madminer(folder / "zh.h5", madminer_fields(sample)))


def through_root(folder: Path, sample: Weighted) -> Events:
    path = write_root(folder / "zh.root", sample, generator=3.0)
    return read_root(path, observables=list(sample.features), points=sample.named, chunk=60)


def through_parquet(folder: Path, sample: Weighted) -> Events:
    sample.frame().to_parquet(folder / "zh.parquet")
    return read_table(folder / "zh.parquet", points=sample.named, chunk=60)


def through_csv(folder: Path, sample: Weighted) -> Events:
    sample.frame().to_csv(folder / "zh.csv.gz", index=False)
    return read_table(folder / "zh.csv.gz", points=sample.named, chunk=60)


FORMATS: dict[str, Callable[[Path, Weighted], Events]] = {
    "lhe": through_lhe,
    "madminer": through_madminer,
    "root": through_root,
    "parquet": through_parquet,
    "csv": through_csv,
}


@pytest.mark.parametrize("name", FORMATS)
def test_same_polynomials(tmp_path, events, weighted, name):
    got = FORMATS[name](tmp_path, weighted)
    assert got.operators == OPERATORS
    scale = np.max(np.abs(events.truth.coefficients), axis=1, keepdims=True)
    np.testing.assert_allclose(got.truth.coefficients / scale, events.truth.coefficients / scale, atol=1e-11)
    np.testing.assert_allclose(got.weights, events.weights, rtol=1e-12)
    np.testing.assert_allclose(
        got.cross_section.coefficients, events.truth.sum(events.weights).coefficients, rtol=1e-9, atol=1e-12
    )
    if name == "lhe":
        np.testing.assert_allclose(got.column("mass[l++l-+h]"), events.column("m_zh"), rtol=1e-9)
        np.testing.assert_allclose(got.column("pt[l++l-]"), events.column("pt_z"), rtol=1e-7, atol=1e-7)
    else:
        np.testing.assert_allclose(got.features, events.features, rtol=1e-12)


def test_same_after_saving(tmp_path, events, weighted):
    got = through_parquet(tmp_path, weighted)
    got.save(tmp_path / "zh.events")
    again = Events.load(tmp_path / "zh.events")
    assert np.array_equal(again.truth.coefficients, got.truth.coefficients)
    pd.testing.assert_frame_equal(again.features, got.features)
    assert again.metadata == got.metadata
