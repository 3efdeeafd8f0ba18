"""Ways to be silently wrong, part two: events, exports, networks, and events that count twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from smeft_unbinned import (
    Events,
    InputError,
    Likelihood,
    NonPositiveRatio,
    PoissonDataset,
    Polynomial,
    Runcard,
    UnbinnedDataset,
    compress,
    export,
    histogram,
    minimise,
    score_histogram,
    to_sum_of_squares,
)
from smeft_unbinned.events import morphing
from smeft_unbinned.events.nuisance import Nuisances, from_weights
from smeft_unbinned.events.table import read_table

WHAT = "ways to be silently wrong"
SAME = "made of the same events"
Tally = Callable[[str, int], None]


@pytest.fixture(autouse=True)
def _count(tally: Tally) -> None:
    tally(WHAT, 1)


@pytest.fixture(scope="module")
def events(make_events) -> Events:
    return make_events(seed=3, n=600)


@pytest.fixture(scope="module")
def dataset(events: Events) -> UnbinnedDataset:
    return export(None, events, luminosity=1.0, name="a")


def _renamed(d: Any, name: str) -> Any:
    d.name = name
    return d


def _forms(events: Events, d: UnbinnedDataset, folder: Path) -> dict[str, Any]:
    """Return what is made of the same events as d."""
    d.save(folder / "d.dataset")
    events.save(folder / "e.events")
    simulated = Events.load(folder / "e.events")
    bare = d.replace(metadata={})
    bare.save(folder / "bare.dataset")
    edges = {events.features.columns[0]: np.linspace(-1e3, 1e3, 3)}
    return {
        "its file": UnbinnedDataset.load(folder / "d.dataset"),
        "low rank": d.replace(ratios=to_sum_of_squares(d.ratios)[0]),
        "float32": d.astype("float32"),
        "fewer operators": d.restrict(d.operators[:1]),
        "compressed": compress(d, tolerance=0.1),
        "a selection": export(None, events[:300], luminosity=1.0),
        "a selection of a selection": export(None, events[100:400][::2], luminosity=1.0),
        "half": export(None, events.split(0.5, 1)[0], luminosity=1.0),
        "its events, stored": export(None, simulated, luminosity=2.0),
        "a toy": export(None, events, luminosity=3.0, pseudo_data="toy", seed=4),
        "pseudo-data": d.pseudo(np.random.default_rng(1), {}),
        "measured": export(lambda f: events.truth, events.features, d.expected),
        "a histogram": histogram("h", events, edges),
        "a histogram of scores": score_histogram("s", None, events, 1.0, bins=2),
    }


def test_the_same_events_twice(events: Events, dataset: UnbinnedDataset, tmp_path: Path) -> None:
    """One measurement in two forms would shrink errors by sqrt(2): refused with both names."""
    for what, other in _forms(events, dataset, tmp_path).items():
        with pytest.raises(InputError, match=SAME) as caught:
            Likelihood([dataset, _renamed(other, "b")])
        assert "'a' and 'b'" in str(caught.value), what


def test_the_same_events_in_datasets_made_by_hand(make_unbinned, tmp_path: Path) -> None:
    """Without a record of their origin copies are known by the ratios, in memory and in files."""
    d = make_unbinned()
    with pytest.raises(InputError, match=SAME):
        Likelihood([d, d.replace(name="b")])
    for name in "bc":
        d.replace(name=name).save(tmp_path / name)
    one, other = (UnbinnedDataset.load(tmp_path / name) for name in "bc")
    with pytest.raises(InputError, match=SAME):
        Likelihood([one, other])
    small = compress(one, tolerance=0.5).replace(name="small")
    with pytest.raises(InputError, match="'b' and 'small'"):
        Likelihood([one, small])
    yields = Polynomial(["cHW"], [[3.0, 1.0, 0.5]])
    for name in "de":
        PoissonDataset(name, yields).save(tmp_path / name)
    with pytest.raises(InputError, match=SAME):
        Likelihood([PoissonDataset.load(tmp_path / name) for name in "de"])


def test_different_events_are_no_overlap(dataset: UnbinnedDataset, make_events, make_unbinned) -> None:
    """Other seeds, another process, and one dataset alone are fitted together without a word."""
    other = export(None, make_events(seed=4, n=600), luminosity=1.0, name="b")
    both = Likelihood([dataset, other])
    c = np.full(len(both.parameters), 0.1)
    assert float(both.m2logl(c)) == pytest.approx(float(dataset.m2logl(c)) + float(other.m2logl(c)))
    Likelihood([make_unbinned(1, name="x"), make_unbinned(2, name="y")])


def test_an_overlap_that_is_allowed_by_name(events: Events, dataset: UnbinnedDataset) -> None:
    """Disjoint parts of one sample are two measurements: allowed for the named ones alone."""
    parts = [export(None, events[k::3], luminosity=1.0, name=f"p{k}") for k in range(3)]
    with pytest.raises(InputError, match="'p0' and 'p2'"):
        Likelihood(parts, allow_overlap=[("p0", "p1"), ("p1", "p2")])
    whole = Likelihood(parts, allow_overlap=[("p0", "p1", "p2")])
    c = np.full(len(whole.parameters), 0.2)
    assert float(whole.m2logl(c)) == pytest.approx(sum(float(d.m2logl(c)) for d in parts))
    kept = whole.only(whole.operators[:1]).with_datasets(parts[:2])
    assert kept.allow_overlap == [["p0", "p1"]]
    for wrong, says in (
        ([("p0", "q1")], "Did you mean 'p1'"),
        (["p0"], "list of groups"),
        ([["p0"]], "list of groups"),
    ):
        with pytest.raises(InputError, match=says):
            Likelihood(parts, allow_overlap=wrong)


def test_the_same_events_in_a_runcard(events: Events, dataset: UnbinnedDataset, tmp_path: Path) -> None:
    """The key allow_overlap of a card does the same, also where the datasets are external chi2 of SMEFiT."""
    from plugins.smefit.checks import check_card, refuse_overlap
    from plugins.smefit.runcard import load, with_unbinned

    parts = [export(None, events[k::2], luminosity=1.0) for k in range(2)]
    for k, part in enumerate(parts):
        part.save(tmp_path / f"{k}.dataset")
    listed = [{"name": f"p{k}", "unbinned": f"{k}.dataset"} for k in range(2)]
    card = {"datasets": listed, "coefficients": {parts[0].operators[0]: None}, "basis": "warsaw"}
    allowed = {**card, "allow_overlap": [["p0", "p1"]]}
    with pytest.raises(InputError, match=f"'p0' and 'p1' are {SAME}"):
        Runcard.from_dict(card, tmp_path).likelihood()
    assert len(Runcard.from_dict(allowed, tmp_path).likelihood().datasets) == 2
    with pytest.raises(InputError, match="allow_overlap must be list, got 'p0'"):
        Runcard.from_dict({**card, "allow_overlap": "p0"}, tmp_path)
    with pytest.raises(InputError, match="no dataset is called 'q'"):
        Runcard.from_dict({**card, "allow_overlap": [["p0", "q"]]}, tmp_path).likelihood()
    theirs = with_unbinned(card, tmp_path)
    with pytest.raises(InputError, match=f"'p0' and 'p1' are {SAME}"):
        check_card(theirs)
    check_card(with_unbinned(allowed, tmp_path))
    (tmp_path / "card.yaml").write_text(yaml.safe_dump(theirs), encoding="utf-8")
    with pytest.raises(InputError, match=SAME):
        refuse_overlap(["smefit", "NS", str(tmp_path / "card.yaml")])
    assert load(tmp_path / "card.yaml")["external_chi2"] == theirs["external_chi2"]


def test_luminosity_in_another_unit(events: Events) -> None:
    """pb^-1 for fb^-1 is a factor 1000 in the yield: measured events that do not fit it are told."""
    rate = float(np.sum(events.weights))  # pb
    luminosity = len(events) / rate / 1000.0  # fb^-1
    expected = {x: events.cross_section * (1000.0 * x) for x in (luminosity, 1000 * luminosity)}
    notes = [
        export(lambda f: events.truth, events.features, nu, name="m").metadata["notes"]
        for nu in expected.values()
    ]
    assert notes[0] == []
    assert "600 events were measured and 6e+05 are expected" in notes[1][0]
    asimov = export(None, events, luminosity=1000 * luminosity)
    assert any("effective simulated events stand for" in n for n in asimov.metadata["notes"])
    assert float(asimov.expected.constant) == pytest.approx(6e5, rel=1e-6)


def test_pb_for_fb(events: Events) -> None:
    """Weights in pb and a luminosity in fb^-1 meet with the factor 1000, once, in weights and yield."""
    d = export(None, events, luminosity=2.0)
    assert float(d.weights.sum()) == pytest.approx(2000.0 * float(np.sum(events.weights)))
    assert float(d.expected.constant) == pytest.approx(float(d.weights.sum()), rel=1e-9)


def test_an_efficiency_twice(events: Events) -> None:
    """The efficiency multiplies weights and yield once; a selection has its own rate and needs none."""
    d, half = export(None, events, luminosity=2.0), export(None, events, luminosity=2.0, efficiency=0.5)
    assert float(half.weights.sum()) == pytest.approx(0.5 * float(d.weights.sum()))
    assert float(half.expected.constant) == pytest.approx(0.5 * float(d.expected.constant))
    part = export(None, events[:200], luminosity=2.0)
    assert float(part.weights.sum()) == pytest.approx(float(part.expected.constant), rel=1e-9)
    assert (half.metadata["efficiency"], half.metadata["luminosity_fb-1"]) == (0.5, 2.0)


def test_weights_that_do_not_sum_to_the_yield(events: Events) -> None:
    """Asimov weights and nu(c) come from the same events: the score vanishes at the point of the data."""
    at = {events.operators[0]: 0.3}
    d = export(None, events, luminosity=1.0, at=at)
    size = np.sqrt(np.abs(np.diag(d.hessian(np.zeros(len(d.operators))))))
    np.testing.assert_allclose(d.gradient(at) / size, 0.0, atol=1e-6)


def test_observed_mixed_with_pseudo_data(dataset: UnbinnedDataset, make_events) -> None:
    """A fit of real events beside Asimov ones is neither a measurement nor a projection: told by name."""
    real = make_events(seed=9, n=300)
    measured = export(lambda f: real.truth, real.features, dataset.expected, name="real")
    found = minimise(Likelihood([dataset, measured]), levels=()).messages
    assert any("observed data, real, and pseudo-data, a (asimov)" in m for m in found)
    assert not any("pseudo-data" in m for m in minimise(Likelihood([dataset]), levels=()).messages)


def test_ratios_that_turn_negative() -> None:
    """A negative rate has no logarithm: counted and told, or refused where strict, never skipped."""
    ratios = Polynomial(["cHW"], [[1.0, 0.9, 0.0], [1.0, -0.5, 0.2]])
    d = UnbinnedDataset("a", ratios, Polynomial(["cHW"], [2.0, 0.4, 0.5]))
    likelihood = Likelihood([d])
    assert likelihood.non_positive([-2.0]) == 1
    assert float(likelihood.m2logl([-2.0])) > float(likelihood.m2logl([-1.0]))
    with pytest.raises(NonPositiveRatio, match="1 events have a ratio that is not positive at cHW = -2"):
        Likelihood([d], strict=True).m2logl([-2.0])


def test_single_precision(make_unbinned) -> None:
    """float32 ratios are summed in double, the change is recorded; terms refuse float32 values."""
    from smeft_unbinned.fitters import Term

    d = make_unbinned(n=400)
    small = d.astype("float32")
    c = np.array([0.2, -0.1, 0.3])
    assert 0 < small.metadata["precision"]["largest_change"] < 1e-3
    assert small.m2logl(c).dtype == np.float64
    assert float(small.m2logl(c)) == pytest.approx(float(d.m2logl(c)), abs=1e-3)
    assert np.isfinite(float(small.m2logl(np.array([1e25, 0.0, 0.0]))))
    with pytest.raises(InputError, match="must be float64, got float32"):
        Term(d).m2logl(c.astype("float32"))


def test_nuisances_of_swapped_sides() -> None:
    """Weights at theta = +1 and -1 exchanged turn the sign of the response, and only that."""
    nominal, up, down = np.array([1.0, 2.0]), np.array([[1.3], [2.2]]), np.array([[0.8], [1.7]])
    one, other = from_weights(["jes"], nominal, up, down), from_weights(["jes"], nominal, down, up)
    np.testing.assert_allclose(one.ratio({"jes": 1.0}), up[:, 0] / nominal, rtol=1e-12)
    np.testing.assert_allclose(one.ratio({"jes": -1.0}), down[:, 0] / nominal, rtol=1e-12)
    np.testing.assert_allclose(other.linear, -one.linear)
    np.testing.assert_allclose(other.quadratic, one.quadratic)


def test_the_sign_of_a_luminosity() -> None:
    """theta = +1 of a luminosity raises the yield by its uncertainty: an excess pulls it up."""
    form = Polynomial(["c"], [[1.0, 0.2, 0.1]] * 110)
    d = UnbinnedDataset("a", form, Polynomial(["c"], [100.0, 0.0, 50.0])).with_luminosity(0.1, "LUMI")
    assert d.expected_count({"LUMI": 1.0}) == pytest.approx(110.0)
    assert isinstance(d.response, Nuisances)
    fit = minimise(Likelihood([d]), levels=())
    assert fit.best["LUMI"] > -1e-6


def test_a_morphing_basis_of_low_rank() -> None:
    """Points that do not determine all c_i c_j would leave them to the solver: the missing ones are named."""
    points = np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [2.0, 0.0]])
    with pytest.raises(InputError, match=r"a\*b|a b"):
        morphing.check_points(["a", "b"], points)


def test_the_same_event_file_twice(tmp_path: Path) -> None:
    """A file given twice, or as a copy, would double its events: refused with both names."""
    frame = pd.DataFrame({"pt": [50.0, 90.0, 120.0], "w": [1.0, 2.0, 1.5]})
    for name in "ab":
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    assert len(read_table(a, nominal="w")) == 3
    for files in ([a, a], [a, b]):
        with pytest.raises(InputError, match="give each sample once"):
            read_table(files, nominal="w")


def test_a_selection_of_a_read_file(tmp_path: Path) -> None:
    """Two selections of one file in other observables: the checksum of the file tells, whatever is kept."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"pt": rng.exponential(80.0, 50), "eta": rng.normal(size=50), "w": np.ones(50)})
    frame.to_csv(tmp_path / "a.csv", index=False)
    one, other = (read_table(tmp_path / "a.csv", nominal="w", features=[name]) for name in ("pt", "eta"))
    one, other = one[::2], other[1::2]
    assert one.sources == other.sources
    one.save(tmp_path / "one.events")
    assert Events.load(tmp_path / "one.events").sources == other.sources


def test_a_network_on_other_units(make_events) -> None:
    """A network trained in GeV and evaluated in TeV: exports say that features are unlike the training."""
    pytest.importorskip("torch", reason="the train extra is not installed")
    from smeft_unbinned import train

    sample = make_events(seed=5, n=400)
    estimator = train(sample, epochs=2, replicas=2, hidden=(8,), progress=False)
    other = make_events(seed=6, n=400)
    nu = other.cross_section
    notes = export(estimator, other.features, nu * (400 / float(nu.constant))).metadata["notes"]
    assert not any("unlike" in n for n in notes)
    shuffled = other.features[other.features.columns[::-1]]
    np.testing.assert_allclose(estimator(shuffled).coefficients, estimator(other.features).coefficients)
    in_tev = other.features.assign(pt=other.features["pt"] / 1000.0)
    notes = export(estimator, in_tev, nu * (400 / float(nu.constant))).metadata["notes"]
    assert any("unlike those of the training" in n and "check definitions and units" in n for n in notes)
    with pytest.raises(InputError, match="needs feature 'pt'"):
        estimator(other.features.rename(columns={"pt": "pT_Z"}))


def test_the_events_of_the_training(make_events) -> None:
    """Checks on the very events of the training flatter a network: the report says that they are."""
    pytest.importorskip("torch", reason="the train extra is not installed")
    from smeft_unbinned import train
    from smeft_unbinned.diagnostics import diagnose

    sample = make_events(seed=5, n=200)
    estimator = train(sample, epochs=1, replicas=2, hidden=(8,), progress=False)
    for events, same in ((sample, True), (make_events(seed=6, n=200), False)):
        report = diagnose(estimator, events, checks=["positivity"])
        assert report.settings["events_of_the_training"] is same
        assert f"events_of_the_training: {same}" in report.text()


def test_networks_of_one_seed(make_events) -> None:
    """Members that start and draw alike would claim no network uncertainty: theirs differ, runs repeat."""
    pytest.importorskip("torch", reason="the train extra is not installed")
    from smeft_unbinned import train

    sample = make_events(seed=5, n=200)
    one, again = (train(sample, epochs=1, replicas=3, hidden=(8,), seed=4, progress=False) for _ in range(2))
    form = one.replicas(sample.features).dense().coefficients
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(form[a] - form[b]).max() > 1e-6
    np.testing.assert_array_equal(form, again.replicas(sample.features).dense().coefficients)


def test_weights_of_another_scale(make_events) -> None:
    """Ratios do not depend on the unit of the weights: training weights times 1000 give the same network."""
    pytest.importorskip("torch", reason="the train extra is not installed")
    from smeft_unbinned import train

    sample = make_events(seed=5, n=200)
    larger = Events(sample.features, sample.truth, 1000.0 * np.asarray(sample.weights))
    one, other = (train(e, epochs=2, replicas=2, hidden=(8,), progress=False) for e in (sample, larger))
    np.testing.assert_allclose(
        other(sample.features).coefficients, one(sample.features).coefficients, rtol=1e-4, atol=1e-6
    )


def test_an_angle_that_wraps(make_events) -> None:
    """-pi and pi are one direction: a network gives both the same ratio."""
    pytest.importorskip("torch", reason="the train extra is not installed")
    from smeft_unbinned import train

    estimator = train(make_events(seed=5, n=200), epochs=1, replicas=2, hidden=(8,), progress=False)
    ends = pd.DataFrame({"pt": [100.0, 100.0], "phi": [-np.pi, np.pi]})
    low, high = np.asarray(estimator(ends).coefficients)
    np.testing.assert_allclose(low, high, rtol=1e-6, atol=1e-9)
