"""Figures of real MadGraph files: VBF Higgs production with SMEFTsim, and one that must be refused."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import Events
from smeft_unbinned.events.lhe import read_lhe
from smeft_unbinned.events.lhe_stream import LheFile

OPERATORS = ("cHbox", "cHD", "cHW", "cHB", "cHWB")


@pytest.fixture(scope="module")
def vbf(samples) -> Events:
    return read_lhe(samples / "smeftsim_VBFH-1.lhe.gz")


def test_size_points_and_cross_section(vbf):
    assert len(vbf) == 10_000
    assert vbf.operators == OPERATORS
    assert len(vbf.metadata["points"]) == vbf.metadata["rank"] == 21
    assert vbf.metadata["condition"] < 150
    assert vbf.metadata["normalisation"] == "mean"
    assert np.sum(vbf.weights) == pytest.approx(3.343019, rel=1e-12)
    assert {"pt[h]", "mass[j1+j2]", "delta_phi[j1,j2]"} <= set(vbf.features)


def test_polynomials_are_positive_up_to_the_digits_of_the_file(vbf):
    smallest = np.linalg.eigvalsh(vbf.truth.matrix())[:, 0].min()
    assert smallest == pytest.approx(vbf.metadata["smallest_eigenvalue"])
    assert smallest > -1e-4


def test_mean_ratio_is_that_of_the_weights_in_the_file(vbf, samples):
    with gzip.open(samples / "smeftsim_VBFH-1.lhe.gz", "rt") as stream:
        found = re.findall(r"<wgt id='([^']*)'>\s*(\S+)", stream.read())
    totals = {name: 0.0 for name, _ in found}
    for name, value in found:
        totals[name] += float(value)
    assert set(totals) == set(vbf.metadata["points"])
    for name, point in vbf.metadata["points"].items():
        mean = np.average(vbf.truth.evaluate(point), weights=vbf.weights)
        assert mean == pytest.approx(totals[name] / totals["SM"], rel=1e-11)


def test_effect_of_chbox_is_known(vbf):
    v2 = 1 / (np.sqrt(2) * 1.166379e-5) * 1e-6  # TeV^2; cHbox rescales the Higgs field: |1 + v^2 cHbox|^2
    np.testing.assert_allclose(vbf.truth.linear[:, 0], 2 * v2, rtol=2e-4)
    np.testing.assert_allclose(vbf.truth.coefficients[:, 6], v2**2, rtol=5e-3)


def test_part_of_the_operators_and_events(samples):
    part = read_lhe(samples / "smeftsim_VBFH-1.lhe.gz", operators=["cHW"], max_events=500, chunk=200)
    assert (len(part), part.operators, len(part.metadata["points"])) == (500, ("cHW",), 3)
    assert np.sum(part.weights) == pytest.approx(3.343019)


def test_single_points_are_refused(samples):
    path = samples / "reject" / "dy1j_single_points.lhe.gz"
    with pytest.raises(InputError, match=r"dy1j_single_points\.lhe\.gz: .*cHj1 from cHj1\^2"):
        read_lhe(path)
    with pytest.raises(InputError, match=r"cannot separate cHD from cHD\^2"):
        read_lhe(path, operators=["cHD"])


def test_truncated_sample(samples, tmp_path):
    data = (samples / "smeftsim_VBFH-1.lhe.gz").read_bytes()
    (tmp_path / "cut.lhe.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"cut\.lhe\.gz, event \d{4}: the file ends early"):
        read_lhe(tmp_path / "cut.lhe.gz")
    file = LheFile(samples / "smeftsim_VBFH-1.lhe.gz")
    assert len(file.batch(3)) == 3
    file.close()
