"""ROOT files: NanoAOD-like trees that uproot wrote, in chunks, and refusals with file, event and branch."""

from __future__ import annotations

import sys

import awkward as ak
import numpy as np
import pytest
import uproot
from event_writers import random_events, write_root

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import parse_reweight_card, read_root

SAMPLE = random_events(30)
POINTS = list(SAMPLE.named.values())
FEATURES = {"pT": "pt", "y": "eta"}


@pytest.fixture
def path(tmp_path):
    return write_root(tmp_path / "nano.root", SAMPLE)


@pytest.mark.parametrize("chunk", [7, "1 kB", "50 MB"])
def test_round_trip(path, chunk, capsys):
    got = read_root(path, observables=FEATURES, points=POINTS, chunk=chunk, progress=True)
    np.testing.assert_allclose(got.truth.coefficients, SAMPLE.ratios, atol=1e-10)
    np.testing.assert_allclose(got.weights, SAMPLE.coefficients[:, 0])
    np.testing.assert_array_equal(got.features, SAMPLE.features)
    assert list(got.features) == ["pT", "y"]
    assert got.metadata["files"][0]["events"] == 30
    assert "nano.root" in capsys.readouterr().err


def test_normalisation(path):
    options = {"observables": FEATURES, "points": POINTS}
    absolute = read_root(path, nominal=None, **options)
    np.testing.assert_allclose(absolute.weights, SAMPLE.coefficients[:, 0] / 2.0)
    assert np.sum(read_root(path, cross_section_pb=5.0, **options).weights) == pytest.approx(5.0)
    total = SAMPLE.coefficients[:, 0].sum()
    scaled = read_root(path, cross_section_pb=5.0, sum_of_weights=2 * total, **options)
    assert np.sum(scaled.weights) == pytest.approx(2.5)
    with pytest.raises(InputError, match="needs cross_section_pb"):
        read_root(path, sum_of_weights=1.0, **options)


def test_elements_of_lists(path):
    options = {"points": POINTS, "observables": {"pt": "pt", "j2": "Jet_pt[1]"}}
    with pytest.raises(InputError, match=r"nano\.root, event 0: 'Jet_pt\[1\]' is not defined.*in 20 events"):
        read_root(path, **options)
    dropped = read_root(path, missing="drop", chunk=7, **options)
    assert (len(dropped), dropped.metadata["events_without_an_observable"]) == (10, 20)
    np.testing.assert_allclose(dropped.truth.coefficients, SAMPLE.ratios[2::3], atol=1e-10)
    filled = read_root(path, missing=-1.0, chunk=7, **options)
    assert filled.column("j2")[:3].tolist() == [-1.0, -1.0, 50.0]
    with pytest.raises(InputError, match="holds no events with all observables"):
        read_root(path, observables=["Jet_pt[5]"], points=POINTS, missing="drop")
    with pytest.raises(InputError, match="missing must be"):
        read_root(path, missing="skip", **options)


def test_weights_in_branches_of_their_own(tmp_path):
    path = tmp_path / "flat.root"
    with uproot.recreate(path) as file:
        file["tree"] = {name: column.to_numpy() for name, column in SAMPLE.frame().items()}
    options = {"tree": "tree", "observables": ["pt", "eta"], "nominal": None}
    got = read_root(path, weights=SAMPLE.labels, points=POINTS, **options)
    np.testing.assert_allclose(got.truth.coefficients, SAMPLE.ratios, atol=1e-10)
    with pytest.raises(InputError, match="2 weight branches do not fit 6 points"):
        read_root(path, weights=["w0", "w1"], points=POINTS, **options)
    plain = read_root(path, tree="tree", observables=["pt"], nominal="w0")
    assert plain.truth is None
    np.testing.assert_array_equal(plain.weights, SAMPLE.weights[:, 0])


def test_several_files_and_part_of_the_operators(tmp_path, path):
    other = write_root(tmp_path / "b.root", SAMPLE)
    got = read_root([path, other], observables=FEATURES, points=SAMPLE.named)
    assert len(got) == 60
    assert list(got.metadata["points"]) == SAMPLE.labels
    part = read_root(path, observables=FEATURES, points=POINTS, operators=["cHB"])
    np.testing.assert_allclose(part.truth.coefficients, SAMPLE.ratios[:, [0, 2, 5]], atol=1e-10)


def test_points_from_a_reweighting_card(tmp_path, path):
    card = tmp_path / "reweight_card.dat"
    lines = [
        f"launch --rwgt_name={label}\n"
        + "".join(f"set SMEFT {i} {x}\n" for i, x in enumerate(point.values(), 1))
        for label, point in SAMPLE.named.items()
    ]
    card.write_text("change rwgt_dir rwgt\n" + "".join(lines))
    got = read_root(path, observables=FEATURES, points=card)
    assert got.operators == ("smeft_1", "smeft_2")
    np.testing.assert_allclose(got.truth.coefficients, SAMPLE.ratios, atol=1e-10)
    named = parse_reweight_card(card, names={"SMEFT 1": "cHW", "smeft 2": "cHB"})
    assert named == SAMPLE.named
    assert read_root(path, observables=FEATURES, points=named).operators == ("cHW", "cHB")


REFUSED = {
    "branch": ({"observables": ["ptt"]}, "no branch 'ptt'.*Did you mean 'pt'"),
    "tree": ({"tree": "Event"}, "no tree 'Event'; it holds Events.*Did you mean"),
    "nominal": ({"nominal": "genWeigh"}, "no branch 'genWeigh'.*Did you mean 'genWeight'"),
    "weights": ({"weights": "LHEWeight"}, "no branch 'LHEWeight'"),
    "scalar weights": ({"weights": "genWeight"}, "event 0: weight branch 'genWeight' must hold a list"),
    "a list": (
        {"observables": ["Jet_pt"]},
        r"event 0: branch 'Jet_pt' holds a list per event; write 'Jet_pt\[0\]'",
    ),
    "a number": ({"observables": ["pt[0]"]}, "branch 'pt' holds one number per event"),
    "another number of points": (
        {"points": [*POINTS, {"cHW": 9.0}]},
        "event 0: .* holds 6 weights, expected 7",
    ),
    "few points": ({"points": POINTS[:3]}, "determine only 3 of the 6"),
    "a point twice": ({"points": [*POINTS[:5], POINTS[4]]}, "points 4 and 5 are the same"),
    "unreadable branch": ({"observables": ["pt[h]"]}, r"cannot read the branch 'pt\[h\]'"),
    "no observables": ({"observables": []}, "must map features to branches"),
    "a string": ({"observables": "pt"}, "must map features to branches"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(path, case):
    options, says = REFUSED[case]
    with pytest.raises(InputError, match=says):
        read_root(path, **{"observables": FEATURES, "points": POINTS, **options})


@pytest.mark.parametrize(("what", "value"), [("weight 'weight\\[3\\]'", np.nan), ("feature 'y'", np.inf)])
def test_values_that_are_not_finite(tmp_path, what, value):
    sample = random_events(30)
    if np.isnan(value):
        sample.weights[11, 3] = value
    else:
        sample.features.loc[11, "eta"] = value
    path = write_root(tmp_path / "bad.root", sample)
    with pytest.raises(InputError, match=rf"bad\.root, event 11: {what} is"):
        read_root(path, observables=FEATURES, points=POINTS, chunk=4)


def test_an_event_with_another_number_of_weights(tmp_path):
    path = tmp_path / "ragged.root"
    with uproot.recreate(path) as file:
        file.mktree("Events", {"LHEReweightingWeight": "var * float64", "pt": "float64"})
        file["Events"].extend(
            {"LHEReweightingWeight": ak.Array([[1.0] * 6] * 9 + [[1.0] * 5]), "pt": np.ones(10)}
        )
    with pytest.raises(InputError, match=r"ragged\.root, event 9: .* holds 5 weights, expected 6"):
        read_root(path, observables=["pt"], points=POINTS, nominal=None, chunk=4)


def test_damaged_files(tmp_path, path):
    data = path.read_bytes()
    for cut in (0, 3, 200, len(data) // 2, len(data) - 20):
        (tmp_path / "cut.root").write_bytes(data[:cut])
        with pytest.raises(InputError, match=r"cut\.root"):
            read_root(tmp_path / "cut.root", observables=FEATURES, points=POINTS)
    with uproot.recreate(tmp_path / "histogram.root") as file:
        file["Events"] = np.histogram(np.ones(3))
    with pytest.raises(InputError, match="no tree 'Events'"):
        read_root(tmp_path / "histogram.root", observables=FEATURES, points=POINTS)
    with pytest.raises(InputError, match=r"no such file.*Did you mean 'nano\.root'"):
        read_root(tmp_path / "nan.root", observables=FEATURES, points=POINTS)


def test_without_uproot(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "uproot", None)
    with pytest.raises(InputError, match=r"pip install 'smeft-unbinned\[root\]'"):
        read_root(path, observables=FEATURES, points=POINTS)
