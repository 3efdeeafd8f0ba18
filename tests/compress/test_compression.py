"""Compression: what is kept exactly, the certificate against dense samples of the region, fits, refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from smeft_unbinned import InputError, Likelihood, Polynomial, SumOfSquares, UnbinnedDataset, minimise
from smeft_unbinned.cli import main
from smeft_unbinned.compress import certify, compress
from smeft_unbinned.compress import groups as gr
from smeft_unbinned.compress.calibrate import calibrate
from smeft_unbinned.compress.rebuild import rebuild
from smeft_unbinned.events.nuisance import Nuisances

NAMES = ("cHW", "cHq3")


def measurement(n: int = 4000, seed: int = 0, events: float = 400.0) -> UnbinnedDataset:
    """Asimov data whose events respond more the higher an exponential 'energy' is, in two directions."""
    rng = np.random.default_rng(seed)
    energy, angle = rng.exponential(1.0, n), rng.uniform(-np.pi, np.pi, n)
    factors = np.zeros((n, 2, 3))
    factors[:, 0, 0] = 1.0
    factors[:, 0, 1], factors[:, 0, 2] = 0.2 * energy, 0.1 + 0.1 * np.cos(angle) * energy
    factors[:, 1, 1] = 0.1 * energy * np.sin(angle)
    ratios = SumOfSquares(NAMES, factors)
    weights = rng.uniform(0.5, 1.5, n)
    weights *= events / weights.sum()
    return UnbinnedDataset("toy", ratios, ratios.dense().sum(weights), weights, metadata={"seed": seed})


@pytest.fixture(scope="module")
def full() -> UnbinnedDataset:
    return measurement()


@pytest.fixture(scope="module")
def small(full: UnbinnedDataset) -> UnbinnedDataset:
    return compress(full, seed=4)


def region(dataset: UnbinnedDataset, rise: float, count: int, reach: float, seed: int) -> np.ndarray:
    """Return points uniform in a box that lie in the region around the SM, the minimum of Asimov data."""
    points = np.random.default_rng(seed).uniform(-reach, reach, (count, len(dataset.operators)))
    return points[np.asarray(dataset.m2logl(points)) < rise]


def test_what_is_recorded_and_kept(full: UnbinnedDataset, small: UnbinnedDataset) -> None:
    record = small.metadata["compression"]
    assert (record["events_before"], record["events_after"]) == (4000, len(small))
    assert len(small) <= 512
    assert small.metadata["seed"] == 0
    assert set(record["original_checksums"]) == {"ratios", "expected", "weights"}
    np.testing.assert_array_equal(small.expected.dense().coefficients, full.expected.dense().coefficients)
    assert small.weights.min() > 0
    assert small.weights.sum() == pytest.approx(full.weights.sum(), rel=1e-12)
    whole = full.ratios.dense().coefficients
    for row in small.ratios.dense().coefficients:  # events of the original: ratios as positive as before
        assert np.abs(whole - row).max(axis=1).min() < 1e-14


def test_certificate_bounds_a_dense_sample(full: UnbinnedDataset, small: UnbinnedDataset) -> None:
    points = region(full, 25.0, 20_000, 3.0, seed=99)
    assert len(points) > 500
    assert np.abs(points).max() < 2.9  # the box holds the region
    change = np.abs(np.asarray(small.m2logl(points)) - np.asarray(full.m2logl(points)))
    certificate = small.metadata["compression"]["certificate"]
    assert change.max() <= certificate["largest"] <= 0.05
    assert certificate["sampled"] <= certificate["largest"]
    assert certificate["converged"] == certificate["starts"] == 3 * 24
    at = certificate["at"]
    assert abs(small.m2logl(at) - full.m2logl(at)) == pytest.approx(certificate["largest"], abs=1e-9)
    assert full.m2logl(at) == pytest.approx(certificate["height"], abs=1e-6)


def test_certify_finds_a_known_maximum(full: UnbinnedDataset) -> None:
    """Weights scaled by 1 + x change -2 log L by -2 x sum w log r, largest on the boundary of the region."""
    other = full.replace(weights=full.weights * 1.001)
    certificate = certify(full, other, rise=9.0, seed=1)
    points = region(full, 9.0, 200_000, 2.5, seed=5)
    change = np.abs(0.001 * (full.m2logl(points) - 2 * (full.expected.evaluate(points) - 400.0)))
    assert change.max() <= certificate.largest < 1.02 * change.max()
    assert certificate.height == pytest.approx(9.0, rel=1e-3)


def test_fits_are_the_same(full: UnbinnedDataset, small: UnbinnedDataset) -> None:
    a, b = minimise(Likelihood([full])), minimise(Likelihood([small]))
    before, after = a.intervals(0.95), b.intervals(0.95)
    width = before["upper"] - before["lower"]
    assert (after - before).div(width, axis=0).abs().to_numpy().max() < 1e-3
    assert all(abs(a.best[name] - b.best[name]) < 1e-3 * width[name] for name in NAMES)


def test_order_of_the_events_does_not_matter(full: UnbinnedDataset, small: UnbinnedDataset) -> None:
    order = np.random.default_rng(8).permutation(len(full))
    other = compress(full.replace(ratios=full.ratios[order], weights=full.weights[order]), seed=4)
    points = region(full, 25.0, 200, 3.0, seed=4)
    np.testing.assert_allclose(other.m2logl(points), small.m2logl(points), atol=1e-5)


def test_events_that_are_the_same_merge_exactly() -> None:
    distinct = measurement(150, seed=2, events=150.0)
    copies = np.random.default_rng(0).integers(0, 150, 6000)
    dataset = distinct.replace(
        ratios=distinct.ratios[copies], weights=np.full(6000, 0.025), expected=distinct.expected
    )
    small = compress(dataset)
    assert len(small) == len(np.unique(copies))
    points = np.random.default_rng(1).uniform(-5, 5, (50, 2))
    np.testing.assert_allclose(small.m2logl(points), dataset.m2logl(points), rtol=1e-11, atol=1e-9)
    assert small.metadata["compression"]["certificate"]["largest"] < 1e-9


def test_a_region_of_two_parts() -> None:
    """With r = 1 + l c (1 + c) every value at c returns at -1 - c, and the region has a gap in between."""
    rng = np.random.default_rng(0)
    slope = 1.0 + rng.uniform(-0.6, 0.6, 5000)
    coefficients = np.stack([np.ones(5000), slope, slope], axis=1)
    ratios, weights = Polynomial(("c",), coefficients), np.full(5000, 0.2)
    dataset = UnbinnedDataset("two", ratios, ratios.sum(weights), weights)
    assert float(dataset.m2logl(np.array([-0.5]))) > 30
    small = compress(dataset, seed=1)
    line = np.linspace(-1.4, 0.4, 4001)[:, None]
    inside = np.asarray(dataset.m2logl(line)) < 25
    assert np.sum(np.diff(inside.astype(int)) == 1) == 2
    change = np.abs(np.asarray(small.m2logl(line) - dataset.m2logl(line)))[inside]
    assert change.max() <= small.metadata["compression"]["certificate"]["largest"] <= 0.05


def test_group_means_have_the_sign_of_jensen_and_less_error_with_more_groups(full: UnbinnedDataset) -> None:
    points = region(full, 25.0, 2000, 3.0, seed=6)
    x = gr.coordinates(full, points[:40])
    groups, errors = gr.whole(x, full.weights), []
    for count in (8, 64, 512):
        groups = gr.split(groups, x, full.weights, count)
        assert len(groups) == count
        change = rebuild(full, gr.means(full, groups), groups.weight, groups).m2logl(points)
        change = np.asarray(change - full.m2logl(points))
        assert change.max() < 1e-9  # the logarithm is concave
        errors.append(-change.min())
    assert errors[0] > 4 * errors[1] > 16 * errors[2] > 0


def test_events_are_drawn_by_weight() -> None:
    x, weights = np.arange(4.0)[:, None], np.array([1.0, 0.0, 3.0, 0.0])
    groups = gr.whole(x, weights)
    rng = np.random.default_rng(0)
    drawn = np.concatenate([gr.draw(groups, x, weights, rng) for _ in range(2000)])
    assert set(drawn) == {0, 2}
    assert np.mean(drawn == 2) == pytest.approx(0.75, abs=0.04)


def test_calibrated_weights_reach_their_sums() -> None:
    rng = np.random.default_rng(2)
    logs, base = rng.normal(size=(20, 300)), rng.uniform(1, 2, 300)
    truth = base * np.exp(0.1 * logs[0])
    truth *= base.sum() / truth.sum()
    allowed, held = np.full(20, 1e-3), np.arange(20) % 4 == 1
    logs[held] = 0.5 * (logs[0] + logs[2])  # what is held is in the span of what is not
    weights = calibrate(logs, logs @ truth, base, allowed, held)
    assert np.abs(logs @ weights - logs @ truth).max() < 1e-3
    assert weights.sum() == pytest.approx(base.sum(), rel=1e-12)
    assert weights.min() > 0


def test_nuisances_and_single_precision(full: UnbinnedDataset) -> None:
    """Responses are merged exactly, so that -2 log L changes by the same at every value of the nuisances."""
    rng = np.random.default_rng(4)
    response = Nuisances(("scale",), rng.normal(0.1, 0.05, (4000, 1)), rng.normal(0, 0.01, (4000, 1)))
    total = Nuisances(("scale",), np.array([[0.11]]), np.array([[0.004]]))
    packed = full.ratios.dense().coefficients.astype(np.float32)
    dataset = full.replace(
        ratios=Polynomial(NAMES, packed),
        response=response,
        expected_response=total,
        spread=0.1 * packed,
    )
    small = compress(dataset)
    assert small.spread is None
    assert small.metadata["compression"]["dropped"] == ["spread"]
    assert small.nuisances == ("scale",)
    points = np.concatenate([region(full, 25.0, 100, 3.0, seed=7), np.zeros((0, 2))])
    changes = []
    for theta in (-1.0, 0.0, 2.0):
        at = np.concatenate([points, np.full((len(points), 1), theta)], axis=1)
        changes.append(np.asarray(small.m2logl(at) - dataset.m2logl(at)))
    np.testing.assert_allclose(changes[0], changes[1], atol=1e-9)
    np.testing.assert_allclose(changes[2], changes[1], atol=1e-9)
    assert np.abs(changes[1]).max() < 0.05


def test_refusals(full: UnbinnedDataset, make_unbinned: Callable[..., UnbinnedDataset]) -> None:
    with pytest.raises(InputError, match="tolerance must be a finite number above zero, got -1"):
        compress(full, tolerance=-1)
    with pytest.raises(InputError, match="only unbinned datasets can be compressed, got str"):
        compress("a file")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="same operators"):
        certify(full, full.restrict(["cHW"]))
    idle = Polynomial((*NAMES, "cHu"), np.zeros((len(full), 10)))
    more = full.ratios.dense() + idle
    with pytest.raises(InputError, match="does not depend on cHu"):
        compress(full.replace(ratios=more, expected=full.expected.align(more.operators)))


def test_command(full: UnbinnedDataset, tmp_path: Path) -> None:
    full.save(tmp_path / "full.dataset")
    arguments = ["compress", str(tmp_path / "full.dataset"), "-o", str(tmp_path / "small.dataset")]
    result = CliRunner().invoke(main, [*arguments, "--tolerance", "0.1", "--seed", "2"])
    assert result.exit_code == 0, result.output
    assert "largest |change of -2 log L|" in result.output
    small = UnbinnedDataset.load(tmp_path / "small.dataset")
    record = small.metadata["compression"]
    assert (
        record["original_checksums"] == UnbinnedDataset.load(tmp_path / "full.dataset").metadata["checksums"]
    )
    assert record["certificate"]["largest"] <= 0.1
    assert record["certificate"]["seed"] == 2
    refused = CliRunner().invoke(main, [*arguments[:3], str(tmp_path / "full.dataset")])
    assert refused.exit_code == 2
