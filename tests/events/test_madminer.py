"""MadMiner files: figures of two real ones, round trips, nuisance responses, and every refusal."""

from __future__ import annotations

import json
import sys

import h5py
import numpy as np
import pytest
from event_writers import Weighted, madminer_fields, random_events, write_madminer

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import Events, Nuisances, read_madminer, read_nuisances
from smeft_unbinned.events.morphing import monomial_matrix

FILES = {
    "madminer_ttH_3coeff.h5": (1257, ("cu", "cG", "cuG"), 48, 10, 4.6549511853e-06),
    "madminer_vbf_2coeff.h5": (926, ("CWL2", "CPWL2"), 2, 6, 9.517428e-04),
}


@pytest.mark.parametrize("name", FILES)
def test_real_files(samples, name):
    n, operators, features, rank, total = FILES[name]
    got = read_madminer(samples / name)
    assert (len(got), got.operators, got.features.shape[1]) == (n, operators, features)
    assert got.metadata["rank"] == len(got.metadata["points"]) == rank
    assert np.sum(got.weights) == pytest.approx(total, rel=1e-9)
    assert json.loads(json.dumps(got.metadata)) == got.metadata
    with h5py.File(samples / name) as file:
        weights = file["samples/weights"][()][:, :rank]
    sums = np.sum(np.asarray(got.weights)[:, None] * got.truth.evaluate(list_points(got)).T, axis=0)
    np.testing.assert_allclose(sums, weights.sum(axis=0), rtol=1e-9)


def list_points(events: Events) -> np.ndarray:
    return np.array([[point[o] for o in events.operators] for point in events.metadata["points"].values()])


@pytest.mark.parametrize("name", FILES)
def test_morphing_matrix_of_the_file_is_the_inverse_of_ours(samples, name):
    with h5py.File(samples / name) as file:
        components, matrix = file["morphing/components"][()], file["morphing/morphing_matrix"][()]
        points = file["benchmarks/values"][()][: len(components)]
    n = points.shape[1]
    rows, columns = np.triu_indices(n + 1)
    powers = [
        [int(i == k) + int(j == k) for k in range(1, n + 1)] for i, j in zip(rows, columns, strict=True)
    ]
    order = [powers.index(list(row)) for row in components.tolist()]
    ours = np.linalg.inv(monomial_matrix(points))[order]
    assert np.max(np.abs(ours - matrix)) < 1e-12


def test_missing_weight_column_is_refused(samples):
    with pytest.raises(
        InputError, match=r"missing_weight_column.*\(980, 5\).*expected \(N, 6\).*per benchmark"
    ):
        read_madminer(samples / "reject" / "madminer_missing_weight_column.h5")


def test_nuisances_of_the_real_file(samples):
    got = read_nuisances(samples / "madminer_ttH_3coeff.h5")
    assert got.names[:3] == ("mur", "muf", "pdf_0")
    assert got.linear.shape == got.quadratic.shape == (1257, 33)
    with h5py.File(samples / "madminer_ttH_3coeff.h5") as file:
        names = [x.decode() for x in file["benchmarks/names"][()]]
        weights = file["samples/weights"][()]
    for theta, benchmark in ((1.0, "35"), (-1.0, "6")):
        expected = weights[:, names.index(benchmark)] / weights[:, 0]
        np.testing.assert_allclose(got.ratio({"mur": theta}), expected, rtol=1e-12)
    np.testing.assert_allclose(got.ratio({"pdf_3": 1.0}), weights[:, names.index("48")] / weights[:, 0])
    assert not got.quadratic[:, 2:].any()  # parton densities have one direction each
    mean = np.average(got.ratio({"mur": 1.0}), weights=weights[:, 0])
    assert mean == pytest.approx(weights[:, names.index("35")].sum() / weights[:, 0].sum())
    few = read_nuisances(samples / "madminer_ttH_3coeff.h5", names=["muf"], max_events=5, non_positive="drop")
    np.testing.assert_array_equal(few.linear[:, 0], got.linear[:5, 1])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_round_trip(tmp_path, n):
    sample = random_events(20, n)
    got = read_madminer(write_madminer(tmp_path / "a.h5", madminer_fields(sample)))
    np.testing.assert_allclose(got.truth.coefficients, sample.ratios, atol=1e-11)
    np.testing.assert_allclose(got.weights, sample.coefficients[:, 0])
    np.testing.assert_allclose(got.cross_section.coefficients, sample.coefficients.sum(axis=0), atol=1e-10)
    assert np.array_equal(got.features, sample.features)


def test_names_units_and_choices(tmp_path):
    sample = random_events(20)
    path = write_madminer(tmp_path / "a.h5", madminer_fields(sample))
    got = read_madminer(
        path, operators={"cHW": ("cWW", 4.0), "cHB": "cBB"}, observables=["eta"], max_events=5
    )
    assert (len(got), got.operators, list(got.features)) == (5, ("cWW", "cBB"), ["eta"])
    at = {"cWW": 0.8, "cBB": 0.1}
    expected = sample.ratios[:5] @ monomial_matrix(np.array([[0.2, 0.1]]))[0]
    np.testing.assert_allclose(got.truth.evaluate(at), expected)
    assert np.sum(got.weights) == pytest.approx(4 * sample.coefficients[:5, 0].sum())
    assert got.metadata["parameters"]["cWW"] == {"lha_block": "smeft", "lha_id": 0, "transform": ""}
    for arguments, says in (
        ({"operators": {"cHX": "a"}}, "unknown parameter 'cHX'.*Did you mean"),
        ({"operators": {"cHW": "cHB"}}, "distinct names"),
        ({"operators": {"cHW": ("a", 0.0)}}, "not zero"),
        ({"observables": ["ptt"]}, "unknown observable 'ptt'.*Did you mean 'pt'"),
        ({"observables": "pt"}, "sequence"),
        ({"max_events": 0}, "positive"),
    ):
        with pytest.raises(InputError, match=says):
            read_madminer(path, **arguments)


def test_fields_that_older_files_lack(tmp_path):
    sample = random_events(20)
    missing = {
        "benchmarks__is_nuisance": None,
        "benchmarks__is_reference": None,
        "morphing__components": None,
        "observables__definitions": None,
    }
    got = read_madminer(write_madminer(tmp_path / "a.h5", madminer_fields(sample, **missing)))
    np.testing.assert_allclose(got.truth.coefficients, sample.ratios, atol=1e-11)


def test_events_generated_at_several_benchmarks(tmp_path):
    sample = random_events(20)
    where = np.array([0] * 8 + [1] * 8 + [-1] * 4)
    generated = np.zeros(len(sample.points), dtype=int)
    generated[:2] = 30, 10
    extra = {"samples__sampling_benchmarks": where, "sample_summary__signal_events_per_benchmark": generated}
    path = write_madminer(tmp_path / "a.h5", madminer_fields(sample, **extra))
    factors = np.array([0.75] * 8 + [0.25] * 8 + [1.0] * 4)
    np.testing.assert_allclose(read_madminer(path).weights, factors * sample.coefficients[:, 0])
    extra["samples__sampling_benchmarks"] = where + 99
    with pytest.raises(InputError, match="sampling_benchmarks"):
        read_madminer(write_madminer(tmp_path / "b.h5", madminer_fields(sample, **extra)))


def with_nuisances(sample: Weighted, **changes) -> dict:
    theta = np.random.default_rng(1).normal(0.0, 0.1, (len(sample.features), 2))
    up, down = (sample.weights[:, :1] * np.exp(s * theta[:, :1] + theta[:, 1:]) for s in (1, -1))
    fields = madminer_fields(
        sample,
        benchmarks__names=np.array([*sample.labels, "u", "d"], dtype="S9"),
        benchmarks__values=np.concatenate([sample.points, np.zeros((2, sample.points.shape[1]))]),
        benchmarks__is_nuisance=np.array([0] * len(sample.points) + [1, 1]),
        benchmarks__is_reference=np.eye(len(sample.points) + 2, dtype=int)[0],
        samples__weights=np.concatenate([sample.weights, up, down], axis=1),
        nuisance_parameters__names=np.array(["scale", "pdf"], dtype="S9"),
        nuisance_parameters__benchmark_positive=np.array(["u", "u"], dtype="S9"),
        nuisance_parameters__benchmark_negative=np.array(["d", ""], dtype="S9"),
    )
    return fields | {key.replace("__", "/"): value for key, value in changes.items()} | {"theta": theta}


def test_nuisance_polynomials(tmp_path):
    sample = random_events(20)
    fields = with_nuisances(sample)
    theta = fields.pop("theta")
    path = write_madminer(tmp_path / "a.h5", fields)
    got = read_nuisances(path)
    np.testing.assert_allclose(got.linear, np.stack([theta[:, 0], theta.sum(axis=1)], axis=1), atol=1e-12)
    np.testing.assert_allclose(got.quadratic, np.stack([theta[:, 1], 0 * theta[:, 1]], axis=1), atol=1e-12)
    np.testing.assert_allclose(read_madminer(path).truth.coefficients, sample.ratios, atol=1e-11)
    got.save(tmp_path / "n")
    again = Nuisances.load(tmp_path / "n")
    assert again.names == got.names
    assert np.array_equal(again[2:4].linear, got.linear[2:4])
    assert len(again) == 20
    with pytest.raises(InputError, match=r"unknown nuisance parameter 'scal'.*Did you mean 'scale'"):
        got.ratio({"scal": 1.0})
    with pytest.raises(InputError, match="unknown nuisance parameter"):
        read_nuisances(path, names=["pdg"])
    with pytest.raises(InputError, match="expected"):
        Nuisances(("a",), np.zeros((3, 2)), np.zeros((3, 2)))


def test_nuisances_refused(tmp_path):
    sample = random_events(20)
    with pytest.raises(InputError, match="defines no nuisance parameters"):
        read_nuisances(write_madminer(tmp_path / "a.h5", madminer_fields(sample)))
    fields = with_nuisances(sample, nuisance_parameters__benchmark_positive=np.array(["u", "x"], dtype="S9"))
    del fields["theta"]
    with pytest.raises(InputError, match="'pdf' stands at benchmark 'x', which the file does not hold"):
        read_nuisances(write_madminer(tmp_path / "b.h5", fields))
    fields = with_nuisances(sample)
    del fields["theta"]
    fields["samples/weights"][7, -1] = -1.0
    with pytest.raises(InputError, match=r"c\.h5, event 7: the down weight of nuisance 'scale' is -1"):
        read_nuisances(write_madminer(tmp_path / "c.h5", fields))


NAN = random_events(20).weights.copy()
NAN[4, 2] = np.nan
NEGATIVE = random_events(20).weights.copy()
NEGATIVE[3] *= -1.0
REFUSED = {
    "a NaN weight": ({"samples__weights": NAN}, "event 4: weight 'w2' is nan"),
    "a negative weight": (
        {"samples__weights": NEGATIVE},
        "1 of 20 events have an SM weight that is not positive",
    ),
    "no weights": ({"samples__weights": None}, "lacks 'samples/weights'"),
    "no events": (
        {"samples__weights": np.zeros((0, 6)), "samples__observations": np.zeros((0, 2))},
        "no events",
    ),
    "fewer observations": ({"samples__observations": np.zeros((19, 2))}, r"\(19, 2\).*expected \(20, 2\)"),
    "a NaN observable": (
        {"samples__observations": np.full((20, 2), np.nan)},
        "event 0: observable 'pt' is nan",
    ),
    "weights of text": ({"samples__weights": np.full((20, 6), b"x")}, "of numbers"),
    "no names": ({"benchmarks__names": None}, "lacks 'benchmarks/names'"),
    "names of numbers": ({"benchmarks__names": np.arange(6)}, "list of texts"),
    "a benchmark twice": (
        {"benchmarks__names": np.array(["a"] * 6, dtype="S1")},
        "benchmark 'a' is listed twice",
    ),
    "a point twice": ({"benchmarks__values": np.zeros((6, 2)), "morphing__components": None}, "are the same"),
    "an infinite point": ({"benchmarks__values": np.full((6, 2), np.inf)}, "value of parameter 'cHW' is inf"),
    "all nuisances": ({"benchmarks__is_nuisance": np.ones(6)}, "all benchmarks belong to nuisance"),
    "quartic": ({"parameters__max_power": np.array([[2], [4]])}, "'cHB' enters to power 4"),
    "another matrix": ({"morphing__morphing_matrix": np.eye(6)}, "is not the inverse"),
    "a huge matrix": ({"morphing__morphing_matrix": np.zeros((6, 9))}, "is not the inverse"),
    "a scalar": ({"samples__weights": 3.0}, r"shape \(\)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    changes, says = REFUSED[case]
    path = write_madminer(tmp_path / "a.h5", madminer_fields(random_events(20), **changes))
    with pytest.raises(InputError, match=rf"a\.h5.*{says}"):
        read_madminer(path)


def test_negative_weights_dropped_by_choice(tmp_path):
    path = write_madminer(tmp_path / "a.h5", madminer_fields(random_events(20), samples__weights=NEGATIVE))
    got = read_madminer(path, non_positive="drop")
    assert (len(got), got.metadata["events_dropped"]) == (19, 1)


def test_files_that_are_none(tmp_path):
    path = write_madminer(tmp_path / "a.h5", madminer_fields(random_events(20)))
    data = path.read_bytes()
    for cut in (0, 4, 100, len(data) // 2):
        (tmp_path / "cut.h5").write_bytes(data[:cut])
        with pytest.raises(InputError, match=r"cut\.h5"):
            read_madminer(tmp_path / "cut.h5")
    with pytest.raises(InputError, match=r"no such file.*Did you mean 'cut\.h5'"):
        read_madminer(tmp_path / "cutt.h5")
    with pytest.raises(InputError, match="is a folder"):
        read_madminer(tmp_path)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["events/pt"] = np.ones(3)
    with pytest.raises(InputError, match="lacks 'parameters/names': not a MadMiner file"):
        read_madminer(tmp_path / "other.h5")


def test_absurd_sizes_are_refused_before_memory_is_taken(tmp_path):
    path = write_madminer(tmp_path / "a.h5", madminer_fields(random_events(20), samples__weights=None))
    with h5py.File(path, "a") as file:
        file.create_dataset("samples/weights", shape=(10**12, 6), chunks=(1000, 6), dtype="f8")
    with pytest.raises(InputError, match=r"'samples/weights' claims shape \(1000000000000, 6\)"):
        read_madminer(path)


def test_without_h5py(tmp_path, monkeypatch):
    path = write_madminer(tmp_path / "a.h5", madminer_fields(random_events(20)))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(InputError, match=r"pip install 'smeft-unbinned\[madminer\]'"):
        read_madminer(path)
