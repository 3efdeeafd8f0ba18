"""Events: defaults, parts, files, and every kind of unusable input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Events, InputError, Polynomial


def frame(n: int = 4) -> pd.DataFrame:
    return pd.DataFrame({"pt": np.arange(1.0, n + 1), "eta": np.linspace(-1, 1, n)})


def test_the_cross_section_is_the_weighted_sum_of_the_truth(make_events) -> None:
    e = make_events(n=5)
    c = {"cHW": 0.3, "cHu": -1.0}
    by_loop = sum(w * e.truth[i].evaluate(c) for i, w in enumerate(e.weights))
    assert e.cross_section.evaluate(c) == pytest.approx(by_loop)
    assert e.cross_section.constant == pytest.approx(e.weights.sum())
    assert e.operators == e.truth.operators
    assert Events(frame()).operators == ()


def test_missing_weights_are_equal() -> None:
    np.testing.assert_allclose(Events(frame()).weights, 0.25)
    sigma = Polynomial(["cHW"], [2.0, 0.1, 0.1])
    np.testing.assert_allclose(Events(frame(), cross_section=sigma).weights, 0.5)


def test_a_selection_keeps_its_weights_and_has_its_own_cross_section(make_events) -> None:
    e = make_events(n=30)
    for index in (slice(3, 9), np.arange(3, 9), np.isin(np.arange(30), np.arange(3, 9))):
        part = e[index]
        assert len(part) == 6
        np.testing.assert_array_equal(part.weights, e.weights[3:9])
        np.testing.assert_array_equal(part.truth.coefficients, e.truth.coefficients[3:9])
        np.testing.assert_array_equal(part.features, e.features.iloc[3:9])
        expected = part.truth.sum(part.weights).coefficients
        np.testing.assert_allclose(part.cross_section.coefficients, expected)
    assert len(e[3]) == 1
    assert len(e[-1:]) == 1


def test_a_split_is_disjoint_reproducible_and_keeps_the_rate(make_events) -> None:
    e = make_events(n=50)
    a, b = e.split(0.3, seed=1)
    assert (len(a), len(b)) == (15, 35)
    both = np.concatenate([a.column("pt"), b.column("pt")])
    np.testing.assert_array_equal(np.sort(both), np.sort(e.column("pt")))
    for part in (a, b):
        assert part.weights.sum() == pytest.approx(e.weights.sum())
    np.testing.assert_array_equal(e.split(0.3, seed=1)[0].features, a.features)
    assert not np.array_equal(e.split(0.3, seed=2)[0].features, a.features)
    with pytest.raises(InputError, match=r"fraction of 1.0 leaves one part of 50 events empty"):
        e.split(1.0, seed=1)


def test_events_do_not_follow_later_changes_of_their_input() -> None:
    f, w = frame(), np.ones(4)
    e = Events(f, weights=w)
    f.loc[0, "pt"], w[0] = 99.0, 99.0
    assert e.column("pt")[0] == 1.0
    assert e.weights[0] == 1.0


def test_a_saved_file_loads_unchanged(make_events, tmp_path: Path) -> None:
    for e in (
        make_events(),
        Events(frame()),
        Events(frame(), cross_section=Polynomial(["cHW"], [2.0, 0, 1])),
    ):
        e.save(tmp_path / "events.safetensors")
        f = Events.load(tmp_path / "events.safetensors")
        pd.testing.assert_frame_equal(f.features, e.features)
        np.testing.assert_array_equal(f.weights, e.weights)
        assert f.metadata == e.metadata
        assert f.operators == e.operators
        for a, b in ((f.truth, e.truth), (f.cross_section, e.cross_section)):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_array_equal(a.coefficients, b.coefficients)


def test_an_unknown_feature_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown feature 'pT'; known are pt, eta. Did you mean 'pt'"):
        Events(frame()).column("pT")


def truth(n: int = 4, value: float = 0.1) -> Polynomial:
    coefficients = np.ones((n, 3))
    coefficients[n // 2, 1] = value
    return Polynomial(["cHW"], coefficients)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": frame().iloc[:0]}, "at least one row and one feature"),
        ({"features": frame()[[]]}, "at least one row and one feature"),
        ({"features": np.ones((3, 2))}, r"got ndarray of shape \(3, 2\)"),
        ({"features": frame().assign(eta="forward")}, "feature 'eta' holds .*, expected numbers"),
        ({"features": frame().set_axis(["pt", "pt"], axis=1)}, "distinct; repeated: pt"),
        (
            {"features": frame().assign(eta=[0, np.nan, 1, np.inf])},
            "'eta' is not finite in 2 of 4 .* event 1 ",
        ),
        ({"weights": np.ones(3)}, r"weights have shape \(3,\), expected \(4,\)"),
        (
            {"weights": np.array([1, 1, np.inf, 1])},
            r"weight is not finite in 1 of 4 events, first in event 2 \(inf\)",
        ),
        ({"truth": truth(3)}, r"truth has batch \(3,\), expected \(4,\)"),
        ({"truth": truth(value=np.nan)}, "truth polynomial is not finite in 1 of 4 events, first in event 2"),
        ({"cross_section": truth()}, r"cross_section has batch \(4,\), expected none"),
        ({"cross_section": Polynomial(["cHW"], [1, np.nan, 1])}, "cross section is not finite"),
    ],
)
def test_unusable_input_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Events(**{"features": frame(), **arguments})


def test_damaged_and_other_files_are_refused(make_events, make_unbinned, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    make_events().save(path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(InputError, match="checksum mismatch"):
        Events.load(path)
    make_unbinned().save(path)
    with pytest.raises(InputError, match="holds 'unbinned dataset', expected 'events'"):
        Events.load(path)
