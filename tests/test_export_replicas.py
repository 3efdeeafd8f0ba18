"""Export of an ensemble: the networks in the file, mean or median, the command line, and refusals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from smeft_unbinned import Events, InputError, Likelihood, Polynomial, SumOfSquares, UnbinnedDataset, export
from smeft_unbinned.cli import main
from smeft_unbinned.ensemble import combine
from smeft_unbinned.fit.replicas import fit_replicas
from smeft_unbinned.polynomial import QuadraticForm

NAMES = ("cHW", "cHu")


class Ensemble:
    """Five networks whose ratios are functions of the features: 1 + (a_m + 0.1 phi) cHW + ... squared."""

    metadata: ClassVar[dict[str, object]] = {"settings": {"replicas": 5}}
    slopes = np.array([0.1, 0.2, 0.25, 0.5, 1.0])

    def factors(self, features: pd.DataFrame) -> np.ndarray:
        """(M, N, 2, 3)."""
        phi = features["phi"].to_numpy()
        rows = np.zeros((len(self.slopes), len(phi), 2, 3))
        rows[..., 0, 0] = 1.0
        rows[..., 0, 1] = self.slopes[:, None] + 0.1 * phi
        rows[..., 1, 2] = self.slopes[:, None] * 0.3
        return rows

    def replicas(self, features: pd.DataFrame) -> QuadraticForm:
        return SumOfSquares(NAMES, self.factors(features)).dense()

    def predict(self, features: pd.DataFrame) -> tuple[Polynomial, np.ndarray]:
        return combine(self.replicas(features))

    def __call__(self, features: pd.DataFrame) -> Polynomial:
        return self.predict(features)[0]


class LowRank(Ensemble):
    """The same networks of rank one, for which the factors are the smaller storage."""

    def replicas(self, features: pd.DataFrame) -> QuadraticForm:
        return SumOfSquares(NAMES, self.factors(features)[:, :, :1])


@pytest.mark.parametrize("kind", [Ensemble, LowRank])
def test_the_file_holds_every_network(kind: type[Ensemble], make_events, tmp_path: Path) -> None:
    events = make_events(n=30)
    export(kind(), events, luminosity=1.0, replicas=True).save(tmp_path / "d")
    d = UnbinnedDataset.load(tmp_path / "d")
    networks = kind().replicas(events.features)
    assert d.replicas.batch_shape == (5, 30)
    assert isinstance(d.replicas, SumOfSquares) is (kind is LowRank)
    coefficients = networks.dense().coefficients
    np.testing.assert_allclose(d.replicas.dense().coefficients, coefficients)
    np.testing.assert_allclose(d.ratios.dense().coefficients, coefficients.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(d.spread, coefficients.std(axis=0, ddof=1), atol=1e-12)
    np.testing.assert_allclose(d.replica(3).ratios.dense().coefficients, coefficients[3])
    assert d.metadata["ensemble"] == {"central": "mean", "replicas": 5}
    plain = export(kind(), events, luminosity=1.0)
    assert plain.replicas is None
    assert plain.metadata["ensemble"] == {"central": "mean", "replicas": None}
    np.testing.assert_allclose(plain.ratios.dense().coefficients, d.ratios.dense().coefficients, rtol=1e-12)
    assert export(None, events, luminosity=1.0).metadata["ensemble"]["central"] is None
    assert fit_replicas(Likelihood([d], ["cHW"])).members == 5


def test_sums_of_squares_of_high_rank_are_stored_packed(make_events) -> None:
    class Wide(Ensemble):
        def replicas(self, features: pd.DataFrame) -> QuadraticForm:
            return SumOfSquares(NAMES, self.factors(features))  # 2 x 3 numbers, as many as packed

    d = export(Wide(), make_events(), luminosity=1.0, replicas=True)
    assert isinstance(d.replicas, Polynomial)


def test_the_median_is_taken_of_each_coefficient(make_events) -> None:
    events = make_events(n=30)
    d = export(Ensemble(), events, luminosity=1.0, central="median")
    coefficients = Ensemble().replicas(events.features).dense().coefficients
    np.testing.assert_allclose(d.ratios.dense().coefficients, np.median(coefficients, axis=0))
    np.testing.assert_allclose(d.ratios.linear[:, 0], coefficients[2, :, 1])  # the slopes are in order
    np.testing.assert_allclose(d.spread, coefficients.std(axis=0, ddof=1))
    assert d.metadata["ensemble"] == {"central": "median", "replicas": None}


def test_a_median_that_can_turn_negative_is_noted(make_events) -> None:
    class Crossed(Ensemble):
        def replicas(self, features: pd.DataFrame) -> QuadraticForm:
            """(1 + a cHW + b cHu)^2 with a, b = (-1, 1.5), (1, -1), (1.5, 1)."""
            a = np.array([-1.0, 1.0, 1.5])[:, None, None] * np.ones((3, len(features), 1))
            b = np.array([1.5, -1.0, 1.0])[:, None, None] * np.ones((3, len(features), 1))
            return SumOfSquares(NAMES, np.stack([np.ones_like(a), a, b], axis=-1))

    events = make_events(n=30)
    d = export(Crossed(), events, luminosity=1.0, central="median")
    lowest = np.linalg.eigvalsh(d.ratios.matrix())[:, 0]
    assert np.all(lowest < 0)
    note = "the median over networks of 30 of 30 ratios is negative at some coefficients"
    assert note in d.metadata["notes"]
    assert note not in export(Crossed(), events, luminosity=1.0).metadata["notes"]


def test_observed_events_and_many_blocks(make_events, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules[combine.__module__], "_CHUNK", 7)
    features = make_events(n=30).features
    d = export(LowRank(), features, Polynomial(NAMES, np.arange(1.0, 7.0)), replicas=True, central="median")
    networks = LowRank().replicas(features)
    np.testing.assert_array_equal(d.replicas.factors, networks.factors)
    np.testing.assert_allclose(d.ratios.coefficients, np.median(networks.dense().coefficients, axis=0))


def test_what_is_no_ensemble_is_refused(make_events, make_ratios) -> None:
    events = make_events()

    def function(features: pd.DataFrame) -> SumOfSquares:
        return make_ratios(1, len(features))

    class One(Ensemble):
        members = 1

    class Flat(Ensemble):
        def replicas(self, features: pd.DataFrame) -> QuadraticForm:
            return super().replicas(features)[0]

    for estimator, options, message in (
        (
            function,
            {"replicas": True},
            r"replicas=True needs an ensemble .* replicas\(features\), got <function",
        ),
        (function, {"central": "median"}, "central='median' needs an ensemble"),
        (None, {"replicas": True}, "got the truth of the events; leave it out"),
        (One(), {"replicas": True}, "at least two networks, got an ensemble of one"),
        (Ensemble(), {"central": "medain"}, "one of mean, median, got 'medain'. Did you mean 'median'"),
        (Flat(), {"replicas": True}, r"batch \(M, 60\), got \(60,\)"),
    ):
        with pytest.raises(InputError, match=message):
            export(estimator, events, luminosity=1.0, **options)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_the_command_line(zh_events: Events, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the train extra is not installed")
    from smeft_unbinned import Estimator, train

    assert torch
    events = zh_events[:500]
    events.save(tmp_path / "zh.events")
    train(events, replicas=3, epochs=1, hidden=(8,), seed=1).save(tmp_path / "zh.model")
    common = ("export", tmp_path / "zh.events", "--model", tmp_path / "zh.model", "--luminosity", 0.1)
    for central in ("mean", "median"):
        target = tmp_path / central
        result = run(*common, "--replicas", "--central", central, "-o", target)
        assert result.exit_code == 0, result.output
        d, estimator = UnbinnedDataset.load(target), Estimator.load(tmp_path / "zh.model")
        assert d.metadata["ensemble"] == {"central": central, "replicas": 3}
        expected, spread = estimator.predict(events.features, central)
        np.testing.assert_allclose(d.ratios.coefficients, expected.coefficients, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(d.spread, spread, rtol=1e-6, atol=1e-9)
        networks = estimator.replicas(events.features).dense().coefficients
        np.testing.assert_allclose(d.replicas.dense().coefficients, networks, rtol=1e-6, atol=1e-9)
    assert UnbinnedDataset.load(tmp_path / "mean").replicas is not None
    assert run(*common, "--no-replicas", "-o", tmp_path / "without").exit_code == 0
    assert UnbinnedDataset.load(tmp_path / "without").replicas is None
    with pytest.raises(InputError, match="one of mean, median"):
        estimator.predict(events.features, "mode")
    for extra, message in (
        (("--replicas", "--binned", "score"), "belong to unbinned datasets"),
        (("--central", "mode"), "'mode' is not one of"),
    ):
        result = run(*common, *extra, "-o", tmp_path / "no")
        assert result.exit_code == 2
        assert message in " ".join(result.output.split())
    result = run(
        "export", tmp_path / "zh.events", "--truth", "--luminosity", 0.1, "--replicas", "-o", tmp_path / "no"
    )
    assert result.exit_code == 2
    assert "the truth of the events" in " ".join(result.output.split())
