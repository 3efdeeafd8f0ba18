"""Parton densities against published benchmark numbers, sum rules and the direct inverse transform."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smeft_unbinned.errors import InputError
from smeft_unbinned.processes import mellin
from smeft_unbinned.processes.densities import FLAVOURS, Density, LesHouches
from smeft_unbinned.processes.lhagrid import LHAGrid

# hep-ph/0204316, Table 2, third part: leading order, variable flavour number, Q2 = 1e4 GeV^2
X = np.array([1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.3, 0.5, 0.7, 0.9])
TABLE_2 = {
    "uv": [5.8771e-5, 3.3933e-4, 1.9006e-3, 1.0186e-2, 5.0893e-2, 2.2080e-1, 5.7166e-1, 3.7597e-1, 1.3284e-1,
           2.2643e-2, 4.2047e-4],
    "dv": [3.4963e-5, 2.0129e-4, 1.1229e-3, 5.9819e-3, 2.9576e-2, 1.2497e-1, 2.8334e-1, 1.4044e-1, 3.4802e-2,
           3.5134e-3, 2.1529e-5],
    "L-": [7.8233e-7, 5.1142e-6, 3.2249e-5, 1.9345e-4, 1.0730e-3, 4.9985e-3, 1.0428e-2, 3.2629e-3, 4.2031e-4,
           1.5468e-5, 1.0635e-8],
    "2L+": [1.0181e2, 5.1182e1, 2.4693e1, 1.1406e1, 5.0424e0, 2.0381e0, 4.0496e-1, 3.9592e-2, 2.8066e-3,
            6.7201e-5, 3.4998e-8],
    "s+": [4.9815e1, 2.4725e1, 1.1659e1, 5.1583e0, 2.0973e0, 7.2625e-1, 1.1596e-1, 1.0363e-2, 7.1707e-4,
           1.7278e-5, 9.8394e-9],
    "c+": [4.9088e1, 2.4148e1, 1.1201e1, 4.7953e0, 1.8147e0, 5.3107e-1, 5.8288e-2, 4.0740e-3, 2.5958e-4,
           6.3958e-6, 4.7330e-9],
    "b+": [4.6070e1, 2.2239e1, 1.0037e1, 4.1222e0, 1.4582e0, 3.8106e-1, 3.5056e-2, 2.2039e-3, 1.3522e-4,
           3.3996e-6, 2.8903e-9],
    "g": [1.3272e3, 6.0117e2, 2.5282e2, 9.6048e1, 3.1333e1, 7.7728e0, 8.4358e-1, 7.8026e-2, 7.4719e-3,
          3.5241e-4, 1.0307e-6],
}  # fmt: skip


def combinations(xf: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of the published table from x f of shape (N, 11)."""
    q = {flavour: xf[:, i] for i, flavour in enumerate(FLAVOURS)}
    return {
        "uv": q[2] - q[-2],
        "dv": q[1] - q[-1],
        "L-": q[-1] - q[-2],
        "2L+": 2.0 * (q[-1] + q[-2]),
        "s+": q[3] + q[-3],
        "c+": q[4] + q[-4],
        "b+": q[5] + q[-5],
        "g": q[21],
    }


@pytest.mark.parametrize("name", TABLE_2)
def test_les_houches_table_2(name: str) -> None:
    # the table has five digits, so its rounding alone is 5e-5
    np.testing.assert_allclose(combinations(LesHouches().xf(X, 1e4))[name], TABLE_2[name], rtol=6e-5)


@pytest.mark.parametrize("q2", [2.0, 10.0, 20.25, 1e3, 1e7])
def test_sum_rules_of_the_moments(q2: float) -> None:
    momentum = mellin.evolve(np.array([2.0 + 0j]), q2)
    assert abs(momentum.plus.sum() + momentum.gluon[0] - 1.0) < 2e-6  # the input is normalised to this
    number = mellin.evolve(np.array([1.0 + 1e-9j]), q2)
    assert abs(number.uv[0] - 2.0) < 1e-5
    assert abs(number.dv[0] - 1.0) < 1e-5


def test_sum_rules_of_the_tabulated_densities() -> None:
    z, w = np.polynomial.legendre.leggauss(400)
    t = 0.5 * (1.0 + z)
    x = 1e-7 ** (1.0 - t)  # uniform in log x
    jacobian = 0.5 * w * np.log(1e7) * x
    xf = LesHouches().xf(x, 91.1876**2)
    below = xf[0].sum() * x[0] / 0.7  # the momentum below x = 1e-7, where x f is about x^(-0.3)
    assert xf.sum(axis=1) @ jacobian + below == pytest.approx(1.0, abs=1e-4)
    for row, number in (("uv", 2.0), ("dv", 1.0)):
        assert (combinations(xf)[row] / x) @ jacobian == pytest.approx(number, abs=2e-4)


def test_interpolation_against_the_direct_transform() -> None:
    rng = np.random.default_rng(1)
    x, q2 = 10 ** rng.uniform(-6.5, np.log10(0.8), 200), 10 ** rng.uniform(1.4, 9.5, 200)
    direct = np.array([mellin.table(x[i : i + 1], q2[i : i + 1])[0, 0] for i in range(200)])
    xf = LesHouches().xf(x, q2)
    fast = np.stack(
        [xf[:, 7] - xf[:, 3], xf[:, 6] - xf[:, 4], *(xf[:, i] for i in (3, 4, 2, 1, 0, 5))], axis=1
    )
    np.testing.assert_allclose(fast, direct, rtol=2e-5)


def test_alpha_s_is_continuous_and_starts_right() -> None:
    assert mellin.alpha_s(2.0) == pytest.approx(0.35)
    below, above = mellin.alpha_s(mellin.Q2_BOTTOM), mellin.alpha_s(mellin.Q2_BOTTOM * (1 + 1e-12))
    assert below == pytest.approx(above, rel=1e-10)


def test_shapes_and_limits() -> None:
    density = LesHouches()
    assert isinstance(density, Density)
    assert density.xf(0.1, 1e4).shape == (11,)
    assert density.xf(np.full((3, 1), 0.1), np.full(4, 1e4)).shape == (3, 4, 11)
    np.testing.assert_array_equal(density.xf(0.2, 1.0), density.xf(0.2, 2.0))
    assert np.all(density.xf(np.linspace(0.9, 1.0, 50), 1e4) >= 0.0)


def write_grid(path: Path, *, header: str = "Format: lhagrid1") -> None:
    """A two-section grid of the Les Houches densities, negative in one flavour."""
    x = np.geomspace(1e-5, 0.95, 60)
    flavours = [-3, -2, -1, 1, 2, 3, 21]
    parts = [f"PdfType: central\n{header}"]
    for q in (np.geomspace(2.0, 4.5, 8), np.geomspace(4.5, 1e4, 30)):
        xf = LesHouches().xf(x[:, None], q**2)[:, :, [FLAVOURS.index(f) for f in flavours]]
        xf[:, :, 0] *= -1.0
        rows = "\n".join(" ".join(f"{v:.8e}" for v in row) for row in xf.reshape(-1, len(flavours)))
        knots = "\n".join(" ".join(f"{v:.10e}" for v in knots) for knots in (x, q))
        parts.append(f"{knots}\n{' '.join(map(str, flavours))}\n{rows}")
    path.write_text("\n---\n".join(parts) + "\n ---\n")


def test_lhagrid_reads_what_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "toy"
    folder.mkdir()
    write_grid(folder / "toy_0000.dat")
    x, q2 = np.array([3e-4, 0.02, 0.3]), np.array([9.0, 100.0, 1e6])
    expected = LesHouches().xf(x, q2)
    expected[:, [FLAVOURS.index(f) for f in (-5, -4, -3, 4, 5)]] = 0.0  # absent, or negative
    for density in (LHAGrid(folder), LHAGrid(folder / "toy_0000.dat")):
        assert isinstance(density, Density)
        assert density.name == "toy_0000"
        np.testing.assert_allclose(density.xf(x, q2), expected, rtol=2e-4)
    beyond = LHAGrid(folder).xf(1e-7, 1e12)
    np.testing.assert_array_equal(beyond, LHAGrid(folder).xf(1e-5, 1e8))


def test_lhagrid_refuses_other_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no grid file"):
        LHAGrid(tmp_path / "absent_0000.dat")
    with pytest.raises(InputError, match="no grid file"):
        LHAGrid(tmp_path)
    write_grid(tmp_path / "other_0000.dat", header="Format: lhagrid2")
    with pytest.raises(InputError, match="lhagrid1"):
        LHAGrid(tmp_path / "other_0000.dat")
    (tmp_path / "torn_0000.dat").write_text("Format: lhagrid1\n---\n0.1 0.2\n1 2\n21\n1.0\n")
    with pytest.raises(InputError, match="torn_0000"):
        LHAGrid(tmp_path / "torn_0000.dat")
