"""Tables: parquet, CSV and frames give the same polynomials, whole or in blocks, and say what is wrong."""

from __future__ import annotations

import gzip
import sys

import numpy as np
import pandas as pd
import pytest
from event_writers import random_events

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import iterate_table, read_table

SAMPLE = random_events(25)
FORMATS = ["frame", "a.parquet", "a.csv", "a.csv.gz", "a.tsv"]


def save(frame: pd.DataFrame, folder, name: str):
    if name == "frame":
        return frame
    path = folder / name
    if name.endswith("parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in name else ",")
    return path


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("chunk", [4, 1000])
def test_weights_at_points(tmp_path, name, chunk):
    source = save(SAMPLE.frame(), tmp_path, name)
    got = read_table(source, points=SAMPLE.named, chunk=chunk)
    np.testing.assert_allclose(got.truth.coefficients, SAMPLE.ratios, atol=1e-11)
    np.testing.assert_allclose(got.weights, SAMPLE.coefficients[:, 0])
    assert list(got.features) == ["pt", "eta"]
    blocks = list(iterate_table(source, points=SAMPLE.named, chunk=chunk))
    assert [len(b) for b in blocks] == ([4] * 6 + [1] if chunk == 4 else [25])
    sigma = sum(b.cross_section.coefficients for b in blocks)
    np.testing.assert_allclose(sigma, got.cross_section.coefficients)
    np.testing.assert_allclose(np.concatenate([b.truth.coefficients for b in blocks]), got.truth.coefficients)


def polynomial_frame(relative: bool) -> tuple[pd.DataFrame, dict[str, str]]:
    names = ["1", "cHW", "cHB", "cHW^2", "cHB*cHW", "cHB^2"]
    values = SAMPLE.ratios if relative else SAMPLE.coefficients
    columns = {f"q{a}": values[:, a] for a in range(6)}
    table = {name: f"q{a}" for a, name in enumerate(names)}
    frame = SAMPLE.features.assign(**columns, w=SAMPLE.coefficients[:, 0])
    if relative:
        frame, table = frame.drop(columns="q0"), dict(list(table.items())[1:])
    return frame, table


@pytest.mark.parametrize("name", FORMATS)
def test_polynomial_columns(tmp_path, name):
    for relative in (False, True):
        frame, table = polynomial_frame(relative)
        source = save(frame, tmp_path, name)
        options = {"features": ["pt"], "polynomial": table, "nominal": "w" if relative else None}
        got = read_table(source, **options)
        np.testing.assert_allclose(got.truth.coefficients, SAMPLE.ratios, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(got.weights, SAMPLE.coefficients[:, 0])
        blocks = list(iterate_table(source, **options, chunk=9, factor=2.0))
        np.testing.assert_allclose(np.concatenate([b.weights for b in blocks]), 2 * SAMPLE.coefficients[:, 0])
        np.testing.assert_allclose(blocks[1].truth.coefficients, SAMPLE.ratios[9:18], rtol=1e-12, atol=1e-15)


def test_part_of_the_operators():
    frame, table = polynomial_frame(False)
    got = read_table(frame, features=["pt"], polynomial=table, operators=["cHB"])
    np.testing.assert_allclose(got.truth.coefficients, SAMPLE.ratios[:, [0, 2, 5]])
    got = read_table(SAMPLE.frame(), points=SAMPLE.named, operators=["cHB"])
    np.testing.assert_allclose(got.truth.coefficients, SAMPLE.ratios[:, [0, 2, 5]], atol=1e-11)
    assert list(got.features) == ["pt", "eta"]
    linear = read_table(frame, features=["pt"], polynomial={"1": "q0", "cHW": "q1"})
    assert not linear.truth.coefficients[:, 2].any()


def test_weights_and_cross_sections():
    plain = read_table(SAMPLE.features)
    assert plain.truth is None
    assert np.sum(plain.weights) == pytest.approx(1.0)
    frame = SAMPLE.features.assign(w=SAMPLE.coefficients[:, 0])
    np.testing.assert_array_equal(read_table(frame, nominal="w").weights, frame["w"])
    assert np.sum(read_table(frame, nominal="w", cross_section_pb=7.0).weights) == pytest.approx(7.0)
    doubled = read_table(SAMPLE.frame().assign(g=2.0), points=SAMPLE.named, nominal="g", cross_section_pb=3.0)
    np.testing.assert_allclose(doubled.truth.coefficients, SAMPLE.ratios, atol=1e-11)
    assert np.sum(doubled.weights) == pytest.approx(3.0)
    frame, table = polynomial_frame(True)
    equal = read_table(frame, features=["pt"], polynomial=table)
    np.testing.assert_allclose(equal.weights, 1 / 25)
    blocks = list(iterate_table(frame, features=["pt"], polynomial=table, chunk=10, factor=0.5))
    np.testing.assert_array_equal(np.concatenate([b.weights for b in blocks]), 0.5)


def test_features_by_mapping_files_together_and_provenance(tmp_path, capsys):
    a = save(SAMPLE.frame()[:10], tmp_path, "a.csv")
    b = save(SAMPLE.frame()[10:], tmp_path, "b.parquet")
    got = read_table(
        [a, b], features={"x": "eta"}, points=SAMPLE.named, progress=True, metadata={"process": "toy"}
    )
    assert "a.csv" in capsys.readouterr().err
    assert list(got.features) == ["x"]
    np.testing.assert_allclose(got.truth.coefficients, SAMPLE.ratios, atol=1e-10)
    assert [f["events"] for f in got.metadata["files"]] == [10, 15]
    assert got.metadata["process"] == "toy"
    with pytest.raises(InputError, match="given twice"):
        read_table([a, b, a])
    c = save(SAMPLE.frame().drop(columns="eta"), tmp_path, "c.csv")
    with pytest.raises(InputError, match=r"c\.csv: column 'eta' is missing"):
        read_table([a, c], points=SAMPLE.named)


def broken(**changes) -> pd.DataFrame:
    frame = SAMPLE.frame()
    for key, (row, value) in changes.items():
        frame[key] = frame[key].astype(object if isinstance(value, str) else float)
        frame.loc[row, key] = value
    return frame


POINTS = SAMPLE.named
REFUSED = {
    "NaN weight": (broken(w3=(17, np.nan)), {"points": POINTS}, "event 17: weight 'w3' is nan"),
    "infinite feature": (broken(eta=(24, np.inf)), {"points": POINTS}, "event 24: feature 'eta' is inf"),
    "text": (
        broken(eta=(21, "oops")),
        {"points": POINTS, "features": ["eta"]},
        "event 21.*'eta' holds 'oops'",
    ),
    "negative": (broken(w0=(2, -1.0)), {"points": POINTS}, "1 of 25 events have an SM weight that is not"),
    "unknown column": (SAMPLE.frame(), {"features": ["ptt"]}, "unknown column 'ptt'.*Did you mean 'pt'"),
    "missing weight": (SAMPLE.frame().drop(columns="w2"), {"points": POINTS}, "unknown column 'w2'"),
    "no feature": (SAMPLE.frame()[SAMPLE.labels], {"points": POINTS}, "no column is left for the features"),
    "single string": (SAMPLE.frame(), {"features": "pt"}, "single string 'pt'"),
    "both": (SAMPLE.frame(), {"points": POINTS, "polynomial": {"1": "w0"}}, "not both"),
    "few points": (
        SAMPLE.frame(),
        {"points": {k: POINTS[k] for k in ("w0", "w1")}},
        "determine only 2 of the 6",
    ),
    "twice": (SAMPLE.frame(), {"points": POINTS | {"pt": POINTS["w0"]}}, "points 0 and 6 are the same"),
    "NaN point": (SAMPLE.frame(), {"points": {"w0": {"cHW": np.nan}}}, r"\['w0'\]\['cHW'\] must be a finite"),
    "text point": (SAMPLE.frame(), {"points": {"w0": {"cHW": "1"}}}, "must be a finite number, got '1'"),
    "no mapping": (SAMPLE.frame(), {"points": {"w0": 3.0}}, "must be a mapping"),
    "operator": (
        SAMPLE.frame(),
        {"points": POINTS, "operators": ["cHb"]},
        "no weight varies.*Did you mean 'cHB'",
    ),
    "operators": (SAMPLE.frame(), {"points": POINTS, "operators": "cHB"}, "single string"),
    "cubic": (SAMPLE.frame(), {"polynomial": {"a*b*c": "w0"}}, "cannot read the monomial"),
    "power": (SAMPLE.frame(), {"polynomial": {"a^3": "w0"}}, "cannot read the monomial"),
    "monomial twice": (
        SAMPLE.frame(),
        {"polynomial": {"1": "w0", "a*b": "w1", "b*a": "w2"}},
        "'b\\*a' twice",
    ),
    "no monomial": (SAMPLE.frame(), {"polynomial": {"1": "w0"}}, "names no operator"),
    "other monomial": (
        SAMPLE.frame(),
        {"polynomial": {"1": "w0", "a": "w1"}, "operators": ["b"]},
        "no monomial",
    ),
    "empty": (SAMPLE.frame()[:0], {"points": POINTS}, "holds no events"),
    "chunk": (SAMPLE.frame(), {"chunk": 0}, "chunk must be positive"),
    "cross section": (SAMPLE.frame(), {"points": POINTS, "cross_section_pb": -1.0}, "must be positive"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("name", ["frame", "a.csv", "a.parquet"])
def test_refused(tmp_path, case, name):
    frame, options, says = REFUSED[case]
    if case == "text" and name == "a.parquet":
        frame = frame.astype({"eta": str})
    source = save(frame, tmp_path, name)
    named = "the frame" if name == "frame" else name
    with pytest.raises(InputError, match=says) as caught:
        read_table(source, **{"chunk": 10, **options})
    if "events" in says or "event" in says or "column '" in says:
        assert named in str(caught.value)


def test_negative_weights_dropped_by_choice():
    frame = broken(w0=(2, -1.0))
    got = read_table(frame, points=POINTS, non_positive="drop")
    assert (len(got), got.metadata["events_dropped"]) == (24, 1)
    polynomial, table = polynomial_frame(False)
    polynomial.loc[[3, 4], "q0"] = 0.0
    with pytest.raises(InputError, match="the frame: 2 of 25"):
        read_table(polynomial, features=["pt"], polynomial=table)
    assert len(read_table(polynomial, features=["pt"], polynomial=table, non_positive="drop")) == 23
    with pytest.raises(InputError, match=r"events 0 to 9: 1 of 10"):
        list(iterate_table(frame, points=POINTS, chunk=10))


@pytest.mark.parametrize(("column", "value"), [("w3", 1e200), ("w0", 1e-300), ("pt", -1e300)])
def test_absurd_numbers(column, value):
    with pytest.raises(InputError, match=r"the frame.*event 5"):
        read_table(broken(**{column: (5, value)}), points=POINTS)
    frame, table = polynomial_frame(False)
    frame.loc[5, "q0"] = 1e-320
    with pytest.raises(InputError, match="event 5"):
        read_table(frame, features=["pt"], polynomial=table)


def test_damaged_files(tmp_path):
    parquet = save(SAMPLE.frame(), tmp_path, "a.parquet").read_bytes()
    packed = save(SAMPLE.frame(), tmp_path, "a.csv.gz").read_bytes()
    for data, name in ((parquet, "cut.parquet"), (packed, "cut.csv.gz")):
        for cut in (0, 5, len(data) // 2, len(data) - 9):
            (tmp_path / name).write_bytes(data[:cut])
            with pytest.raises(InputError, match=name.replace(".", r"\.")):
                read_table(tmp_path / name, points=POINTS)
    (tmp_path / "ragged.csv").write_text("pt,eta\n1,2\n3\n4,5,6\n")
    with pytest.raises(InputError, match=r"ragged\.csv"):
        read_table(tmp_path / "ragged.csv")
    (tmp_path / "twice.csv").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    with pytest.raises(InputError, match=r"twice\.csv"):
        read_table(tmp_path / "twice.csv")
    for name, says in (("b.parquet", "no such file.*Did you mean 'a.parquet'"), ("", "is a folder")):
        with pytest.raises(InputError, match=says):
            read_table(tmp_path / name)
    (tmp_path / "a.xls").write_text("")
    with pytest.raises(InputError, match=r"cannot tell the format; expected .parquet"):
        read_table(tmp_path / "a.xls")
    with pytest.raises(InputError, match="no table file given"):
        read_table([])
    double = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    with pytest.raises(InputError, match="column 'a' occurs twice"):
        read_table(double)


def test_default_features_are_numeric(tmp_path):
    frame = SAMPLE.frame().assign(channel="ee", good=True)
    for name in ("frame", "a.parquet"):
        got = read_table(save(frame, tmp_path, name), points=POINTS)
        assert list(got.features) == ["pt", "eta", "good"]


def test_without_pyarrow(tmp_path, monkeypatch):
    path = save(SAMPLE.frame(), tmp_path, "a.parquet")
    for module in [m for m in sys.modules if m.split(".")[0] == "pyarrow"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError, match=r"pip install 'smeft-unbinned\[parquet\]'"):
        read_table(path)
