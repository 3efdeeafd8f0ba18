"""What loading does besides reading: cutoffs, rotations of coefficients, running, and several folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from smeft_unbinned.datasets import GaussianDataset
from smeft_unbinned.datasets.record import read_yaml
from smeft_unbinned.errors import InputError

OPERATORS = ("OpB", "OpW", "OtG")
SCALES = {"A": [200.0, 400.0, 800.0], "B": [900.0], "C": [400.0, 100.0]}


def quadratic(rng: np.random.Generator, n: int) -> dict[str, list[float]]:
    """Return a block of corrections in all operators, with the names of products in either order."""
    block = {"SM": rng.uniform(5, 10, size=n).tolist()}
    for i, a in enumerate(OPERATORS):
        block[a] = rng.normal(size=n).tolist()
        for j, b in enumerate(OPERATORS[i:]):
            block["*".join((a, b) if j % 2 else (b, a))] = rng.normal(size=n).tolist()
    return block


def write(folder: Path, name: str, scales: list[float] | None, **more: Any) -> None:
    rng = np.random.default_rng(len(name) + ord(name[0]))
    n = len(scales or [1])
    a = rng.normal(size=(n, n + 1))
    data = {
        "num_data": n,
        "num_sys": 2,
        "data_central": rng.uniform(5, 10, size=n).tolist(),
        "statistical_error": rng.uniform(1, 2, size=n).tolist(),
        "systematics": rng.normal(size=(2, n)).tolist(),
        "sys_names": ["CORR", "LUMI"],
        "sys_type": ["ADD", "MULT"],
        **more,
    }
    theory = {
        "best_sm": rng.uniform(5, 10, size=n).tolist(),
        "theory_cov_current": (a @ a.T).tolist(),
        "LO": quadratic(rng, n),
    }
    for sub in ("commondata", "theory"):
        (folder / sub).mkdir(parents=True, exist_ok=True)
    (folder / "commondata" / f"{name}.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    text = json.dumps({**theory, "scales": scales} if scales else theory)
    (folder / "theory" / f"{name}.json").write_text(text, encoding="utf-8")


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Any]:
    for name, scales in SCALES.items():
        write(tmp_path, name, scales)
    return {"data_path": tmp_path / "commondata", "theory_path": tmp_path / "theory"}


POINTS = np.random.default_rng(5).normal(size=(8, 3))


def test_points_at_or_above_the_cutoff_are_left_out(paths: dict[str, Any]) -> None:
    full = GaussianDataset.load(list("ABC"), **paths, use_t0=True)
    d = GaussianDataset.load(list("ABC"), **paths, use_t0=True, cutoff_scale=400.0)
    kept = [0, 5]
    np.testing.assert_array_equal(d.data, full.data[kept])
    np.testing.assert_allclose(d.covariance, full.covariance[np.ix_(kept, kept)], rtol=1e-14)
    np.testing.assert_allclose(
        d.sampling_covariance, full.sampling_covariance[np.ix_(kept, kept)], rtol=1e-14
    )
    np.testing.assert_allclose(d.theory.evaluate(POINTS), full.theory.evaluate(POINTS)[:, kept], rtol=1e-13)
    assert d.groups == (("A", slice(0, 1)), ("C", slice(1, 2)))
    assert d.metadata["points_above_cutoff"] == {"A": 2, "B": 1, "C": 1}
    assert d.metadata["datasets_above_cutoff"] == ["B"]
    assert d.metadata["cutoff_scale"] == 400.0
    assert [x["scales"] for x in d.metadata["datasets"]] == [[200.0], [100.0]]
    assert full.metadata["points_above_cutoff"] == {}


@pytest.mark.parametrize(
    ("cutoff", "message"),
    [(50.0, "lowest scale is 100 GeV"), (-1.0, "must be a positive"), (float("nan"), "must be a positive")],
)
def test_cutoffs_that_leave_nothing(cutoff: float, message: str, paths: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=message):
        GaussianDataset.load(list("ABC"), **paths, cutoff_scale=cutoff)


def test_a_cutoff_needs_scales(paths: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path, "D", None)
    write(tmp_path, "E", None)
    with pytest.raises(InputError, match="the theory of D, E has none in its field 'scales'"):
        GaussianDataset.load(list("ADE"), **paths, cutoff_scale=500.0)
    theory = json.loads((tmp_path / "theory" / "A.json").read_text(encoding="utf-8"))
    theory["scales"][1] = None
    (tmp_path / "theory" / "A.json").write_text(json.dumps(theory), encoding="utf-8")
    assert GaussianDataset.load("A", **paths).metadata["datasets"][0]["scales"] == [200.0, None, 800.0]
    with pytest.raises(InputError, match="the theory of A has none"):
        GaussianDataset.load("A", **paths, cutoff_scale=500.0)


def rotation(folder: Path, matrix: Any, tables: Any = OPERATORS, fit: Any = ("c1", "c2", "c3")) -> Path:
    content = {"matrix": np.asarray(matrix).tolist() if matrix is not None else None}
    path = folder / "rotation.json"
    path.write_text(json.dumps({**content, "xpars": list(tables), "ypars": list(fit)}), encoding="utf-8")
    return path


@pytest.mark.parametrize("options", [{}, {"use_quad": False}, {"use_multiplicative_prescription": True}])
def test_rotated_theory_is_the_theory_at_the_rotated_point(
    options: dict[str, bool], paths: dict[str, Any], tmp_path: Path
) -> None:
    matrix = np.random.default_rng(1).normal(size=(2, 3))  # two coefficients of the fit
    file = rotation(tmp_path, matrix, fit=("c2", "c1"))
    plain = GaussianDataset.load(list("AB"), **paths, **options)
    d = GaussianDataset.load(list("AB"), **paths, **options, rot_to_fit_basis=file)
    assert d.operators == ("c2", "c1")
    c = POINTS[:, :2]
    np.testing.assert_allclose(d.theory.evaluate(c), plain.theory.evaluate(c @ matrix), rtol=1e-11)
    np.testing.assert_array_equal(d.covariance, plain.covariance)
    other = GaussianDataset.load(
        list("AB"), **paths, **options, rot_to_fit_basis=file, operators=["c1", "OpB"]
    )
    assert other.metadata["operators_set_to_zero"] == ["c2"]
    assert other.metadata["operators_without_effect"] == ["OpB"]
    assert other.chi2({"c1": 0.3}) == pytest.approx(float(d.chi2({"c1": 0.3})))


def test_operators_that_the_rotation_lacks_are_zero(paths: dict[str, Any], tmp_path: Path) -> None:
    file = rotation(tmp_path, [[1.0, 0.0], [0.0, 2.0]], tables=("OtG", "OpW"), fit=("OtG", "half"))
    d = GaussianDataset.load("A", **paths, rot_to_fit_basis=file)
    plain = GaussianDataset.load("A", **paths)
    value = plain.chi2({"OtG": 0.3, "OpW": 0.8})
    assert d.chi2({"OtG": 0.3, "half": 0.4}) == pytest.approx(float(value))
    assert d.metadata["operators_set_to_zero"] == ["OpB"]
    assert d.metadata["rot_to_fit_basis"] == str(file)
    json.dumps(d.metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xpars": None}, "'xpars' must be a list of names"),
        ({"ypars": []}, "'ypars' must be a list of names"),
        ({"xpars": ["OpB", "OpB", "OtG"]}, "'xpars' holds 'OpB' twice"),
        ({"matrix": [[1.0, 0.0, 0.0]]}, "'matrix' must have 3 rows, one per entry of ypars, found 1"),
        ({"matrix": [[1.0]] * 3}, "must have 3 columns, one per entry of xpars; found 1"),
        ({"matrix": [[1.0, 0.0, float("nan")]] * 3}, "'matrix' must be finite"),
        ({"matrix": "R"}, "'matrix' must have 3 rows"),
    ],
)
def test_rotations_that_cannot_be_used(
    change: dict[str, Any], message: str, paths: dict[str, Any], tmp_path: Path
) -> None:
    file = rotation(tmp_path, np.eye(3))
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        GaussianDataset.load("A", **paths, rot_to_fit_basis=file)
    with pytest.raises(InputError, match=r"cannot read .*nowhere.json"):
        GaussianDataset.load("A", **paths, rot_to_fit_basis=tmp_path / "nowhere.json")


class Double:
    """Running with made-up matrices: c1 and c2 of the card become OtG, OpW and one that no table has."""

    operators = ("c1", "c2", "flat")

    def matrix(self, scale: float | None) -> tuple[tuple[str, ...], np.ndarray]:
        rng = np.random.default_rng(0 if scale is None else int(scale))
        names = ("OtG", "nowhere", "OpW") if scale != 200.0 else ("OpB",)  # not the same at every scale
        matrix = rng.normal(size=(len(names), 3))
        matrix[:, 2] = 0.0
        return names, matrix

    def point_scales(self, scales: np.ndarray) -> np.ndarray:
        return np.where(scales == 800.0, np.nan, scales / 2)


def test_running_gives_each_point_its_own_coefficients(paths: dict[str, Any], tmp_path: Path) -> None:
    plain = GaussianDataset.load(list("ABC"), **paths)
    run = Double()
    d = GaussianDataset.load(list("ABC"), **paths, running=run)
    assert d.operators == ("c1", "c2")
    assert d.metadata["operators_set_to_zero"] == []
    c = np.array([0.7, -0.4])
    values = d.theory.evaluate(c)
    for i, scale in enumerate(np.concatenate(list(SCALES.values()))):
        names, matrix = run.matrix(None if scale == 800.0 else scale / 2)
        point = dict(zip(names, matrix[:, :2] @ c, strict=True))
        point.pop("nowhere", None)
        assert values[i] == pytest.approx(plain.theory.evaluate(point)[i], rel=1e-12)
    chosen = GaussianDataset.load(list("ABC"), **paths, running=run, operators=["c2", "flat"])
    assert chosen.operators == ("c2",)
    assert chosen.metadata["operators_set_to_zero"] == ["c1"]
    assert chosen.metadata["operators_without_effect"] == ["flat"]
    file = rotation(tmp_path, np.diag([2.0, 3.0, 5.0]), fit=OPERATORS)  # applied before running
    scaled = GaussianDataset.load("C", **paths, running=run, rot_to_fit_basis=file)
    names, matrix = run.matrix(50.0)
    point = dict(zip(names, matrix[:, :2] @ c, strict=True))
    point = {"OtG": 5.0 * point["OtG"], "OpW": 3.0 * point["OpW"]}
    assert scaled.theory.evaluate(c)[1] == pytest.approx(plain.theory.evaluate(point)[5], rel=1e-12)


def test_several_folders_are_searched(paths: dict[str, Any], tmp_path: Path) -> None:
    write(tmp_path / "second", "D", [300.0])
    both = {key: [path, tmp_path / "second" / path.name] for key, path in paths.items()}
    d = GaussianDataset.load(["A", "D"], **both)
    alone = GaussianDataset.load("D", **{key: path[1] for key, path in both.items()})
    assert [name for name, _ in d.groups] == ["A", "D"]
    assert d.data[3] == alone.data[0]
    twice = {key: [path[0], *path] for key, path in both.items()}  # the same folder again is no other one
    assert len(GaussianDataset.load(["A", "D"], **twice)) == 4
    write(tmp_path / "second", "A", [300.0])
    with pytest.raises(InputError, match=r"found in two folders.*\n.*A.yaml and .*second.*A.yaml"):
        GaussianDataset.load(["A", "D"], **both)
    assert len(GaussianDataset.load(["D"], **both)) == 1
    with pytest.raises(InputError, match=r"datasets not found \(data_path: .*commondata, .*second"):
        GaussianDataset.load("nowhere", **both)
    with pytest.raises(InputError, match="name no folder"):
        GaussianDataset.load("A", data_path=[])


def test_covariances_with_and_without_t0(paths: dict[str, Any]) -> None:
    plain = GaussianDataset.load(list("AB"), **paths)
    assert plain.sampling_covariance is plain.covariance
    t0 = GaussianDataset.load(list("AB"), **paths, use_t0=True)
    np.testing.assert_allclose(t0.sampling_covariance, plain.covariance, rtol=1e-13)
    assert np.abs(t0.covariance - plain.covariance).max() > 1e-3
    assert t0.in_basis("smefit") is t0


def test_unknown_choices_list_the_known_ones(paths: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"A has no order 'NLO_QCD'; the file has LO"):
        GaussianDataset.load({"name": "A", "order": "NLO_QCD"}, **paths)
    with pytest.raises(
        InputError, match=r"'theory_cov_curent' is missing; theory_cov can be current\. Did you mean"
    ):
        GaussianDataset.load({"name": "A", "theory_cov": "curent"}, **paths)


def test_the_singular_measurement_is_named(paths: dict[str, Any], tmp_path: Path) -> None:
    zero = {"statistical_error": [0.0, 1.0], "num_sys": 0}
    write(tmp_path, "D", [100.0, 200.0], **zero)
    with pytest.raises(InputError, match=r"no uncertainty at D\[0\] \(counted from 0\)"):
        GaussianDataset.load(["A", "D"], **paths, use_theory_covmat=False)


def test_luminosity_is_read_per_point_or_for_all(tmp_path: Path) -> None:
    from smeft_unbinned.datasets.commondata import read_commondata

    for name, value, expected in (("X", 139, [139.0, 139.0]), ("Y", [20.3, 139.0], [20.3, 139.0])):
        write(tmp_path, name, [1.0, 2.0], luminosity=value)
        read = read_commondata(tmp_path / "commondata" / f"{name}.yaml", name)
        np.testing.assert_array_equal(read.luminosity, expected)
        np.testing.assert_array_equal(read.select(np.array([False, True])).luminosity, expected[1:])
    write(tmp_path, "Z", [1.0, 2.0])
    read = read_commondata(tmp_path / "commondata" / "Z.yaml", "Z")
    assert np.isnan(read.luminosity).all()
    for bad, message in (([1.0], "must have 2 numbers"), ("139", "must hold numbers")):
        write(tmp_path, "W", [1.0, 2.0], luminosity=bad)
        with pytest.raises(InputError, match=f"'luminosity' {message}"):
            read_commondata(tmp_path / "commondata" / "W.yaml", "W")


def test_numbers_of_yaml_are_read_as_by_its_own_loader(tmp_path: Path) -> None:
    texts = [
        "1",
        "-1.5",
        "1.e+3",
        "+0.25e-07",
        "1e-3",
        ".5",
        "1_0.5",
        "0x1f",
        "1.5e3",
        "1.2.3",
        ".inf",
        "12:30.5",
    ]
    path = tmp_path / "x.yaml"
    path.write_text("\n".join(f"k{i}: {text}" for i, text in enumerate(texts)), encoding="utf-8")
    expected = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = read_yaml(path).fields
    assert {k: (type(v), v) for k, v in found.items()} == {k: (type(v), v) for k, v in expected.items()}
    path.write_text("x: 1" + 400 * "0", encoding="utf-8")
    with pytest.raises(InputError, match="'x' must be finite, found too much"):
        read_yaml(path).vector("x", 1)
