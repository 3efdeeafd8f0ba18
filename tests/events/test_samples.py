"""Samples at several points: sigma(c) from their cross sections, round trips, what does not fit together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from event_writers import points_for

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import Events, Samples
from smeft_unbinned.events.morphing import monomial_matrix

NAMES = ("cHW", "cHB")
POINTS = points_for(2)
SIGMA = np.array([2.0, 0.5, -0.3, 0.2, 0.1, 0.4])


def events(point: np.ndarray, n: int = 50, **columns) -> Events:
    total = float(SIGMA @ monomial_matrix(point[None])[0])
    rng = np.random.default_rng(int(1000 * np.sum(np.abs(point))))
    frame = pd.DataFrame({"pt": rng.exponential(size=n), "eta": rng.normal(size=n), **columns})
    return Events(frame, weights=np.full(n, total / n), metadata={"point": point.tolist()})


def pairs() -> list:
    return [
        ({k: x for k, x in zip(NAMES, row.tolist(), strict=True) if x}, events(row, 40 + b))
        for b, row in enumerate(POINTS)
    ]


def test_cross_section_and_round_trip(tmp_path):
    samples = Samples.build(pairs())
    assert samples.operators == NAMES
    np.testing.assert_allclose(samples.cross_section().coefficients, SIGMA)
    np.testing.assert_allclose(samples.errors, samples.cross_sections / np.sqrt(np.arange(40, 46)))
    assert len(samples.at({"cHW": 0.5})) == 41
    assert [len(e) for _, e in samples] == list(range(40, 46))
    assert next(iter(samples))[0] == {"cHW": 0.0, "cHB": 0.0}
    samples.save(tmp_path / "s")
    again = Samples.load(tmp_path / "s")
    assert len(again) == 6
    assert np.array_equal(again.points, samples.points)
    assert again.at({}).metadata == {"point": [0.0, 0.0]}
    assert again.at({}).features.equals(samples.at({}).features)
    np.testing.assert_array_equal(again.cross_sections, samples.cross_sections)


def test_refused():
    good = pairs()
    with pytest.raises(InputError, match=r"samples 1 and 6 stand at the same point.*join them"):
        Samples.build([*good, good[1]])
    with pytest.raises(InputError, match=r"sample 1 has other features than sample 0.*phi"):
        Samples.build([good[0], (good[1][0], events(POINTS[1], phi=1.0))])
    with pytest.raises(InputError, match=r"\[1\]\['cHW'\] must be a finite number"):
        Samples.build([good[0], ({"cHW": np.inf}, good[1][1])])
    with pytest.raises(InputError, match="at least one sample"):
        Samples.build([])
    with pytest.raises(InputError, match="one row per sample"):
        Samples(NAMES, POINTS[:2], (good[0][1],))
    with pytest.raises(InputError, match="sample 0: its point is not finite"):
        Samples(NAMES, POINTS[:1] * np.nan, (good[0][1],))
    with pytest.raises(InputError, match="positive cross section"):
        Samples.build([({"cHW": 1.0}, Events(good[0][1].features, weights=np.zeros(40)))])
    with pytest.raises(InputError, match="determine only"):
        Samples.build(good[:4]).cross_section()
    with pytest.raises(InputError, match="unknown operator"):
        Samples.build(good).at({"cHX": 1.0})
    with pytest.raises(InputError, match="no sample stands at"):
        Samples.build(good).at({"cHW": 7.0})
