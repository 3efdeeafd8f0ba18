"""Helicity amplitudes against an independent calculation with explicit spinors and the covariant vertex."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned.processes import vh_couplings as vc
from smeft_unbinned.processes import vh_kernels as kernels
from smeft_unbinned.processes import vh_kinematics as kinematics

METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
SIGMA = np.concatenate([np.eye(2)[None], PAULI])
SIGMA_BAR = np.concatenate([np.eye(2)[None], -PAULI])


def levi_civita() -> np.ndarray:
    """eps_{0123} = +1, all indices down."""
    eps = np.zeros((4, 4, 4, 4))
    for index in np.ndindex(4, 4, 4, 4):
        if len(set(index)) == 4:
            eps[index] = np.linalg.det(np.eye(4)[list(index)])
    return eps


def spinor(p: np.ndarray, helicity: int) -> np.ndarray:
    """Two-component eigenvector of helicity +-1 along p, normalised to sqrt(2 E)."""
    values, vectors = np.linalg.eigh(np.einsum("i,iab->ab", p[1:] / p[0], PAULI))
    return np.sqrt(2.0 * p[0]) * vectors[:, int(np.argmin(np.abs(values - helicity)))]


def current(first: np.ndarray, second: np.ndarray, helicity: int) -> np.ndarray:
    """Massless current <first| sigma^mu |second> of one chirality."""
    sigma = SIGMA if helicity > 0 else SIGMA_BAR
    return np.einsum("a,mab,b->m", spinor(first, helicity).conj(), sigma, spinor(second, helicity))


def points(n: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(11)
    return pd.DataFrame(
        {
            "m_zh": rng.uniform(230.0, 1500.0, n),
            "y_zh": np.zeros(n),
            "cos_theta_star": rng.uniform(-1.0, 1.0, n),
            "cos_theta_l": rng.uniform(-1.0, 1.0, n),
            "phi_l": rng.uniform(-np.pi, np.pi, n),
        }
    )


@pytest.mark.parametrize("quark", [-1, 1])
@pytest.mark.parametrize("tau", [-1, 1])
@pytest.mark.parametrize("reverse", [False, True])
def test_squared_amplitude_with_decay(quark: int, tau: int, reverse: bool) -> None:
    frame = points()
    lepton, antilepton, _ = kinematics.momenta(frame)
    m = frame["m_zh"].to_numpy()
    rng = np.random.default_rng(5)
    eps = levi_civita()
    r = quark * tau * (-1 if reverse else 1)
    columns = [frame[name].to_numpy() for name in ("cos_theta_star", "cos_theta_l", "phi_l")]
    products = kernels.decay_products(m, *columns, vc.MZ, r)
    ratios = []
    for i in range(len(frame)):
        beam = 0.5 * m[i] * np.array([1.0, 0.0, 0.0, -1.0 if reverse else 1.0])
        other = beam * [1.0, 1.0, 1.0, -1.0]
        quarks = METRIC @ current(other, beam, quark)  # index down
        leptons = METRIC @ current(lepton[i], antilepton[i], tau)
        q, k = beam + other, lepton[i] + antilepton[i]
        q_down, k_down = METRIC @ q, METRIC @ k
        a, b, bt = rng.normal(size=3) * [1.0, 1e-5, 1e-5]
        up, up_l = METRIC @ quarks, METRIC @ leptons
        dot = quarks @ up_l
        field = (q_down @ k) * dot - (up @ k_down) * (up_l @ q_down)
        dual = np.einsum("abcd,a,b,c,d", eps, q, up, k, up_l)
        explicit = abs(a * dot + b * field + bt * dual) ** 2 / m[i] ** 2
        x = products[:, i]
        ours = (
            a * a * x[0]
            + 2 * a * b * x[1]
            + 2 * a * bt * x[2]
            + b * b * x[3]
            + 2 * b * bt * x[4]
            + bt * bt * x[5]
        )
        ratios.append(explicit / ours)
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-10)


def test_the_decay_integrates_to_the_production_rate() -> None:
    z, w = np.polynomial.legendre.leggauss(6)
    phi = np.pi * (2.0 * np.arange(8) + 1.0) / 8.0 - np.pi
    cos, cos_l, angle = (a.ravel() for a in np.meshgrid(z, z, phi, indexing="ij"))
    weight = np.einsum("i,j,k->ijk", w, w, np.full(8, np.pi / 4.0)).ravel()
    m = np.full(cos.size, 437.0)
    for r in (-1, 1):
        integral = kernels.decay_products(m, cos, cos_l, angle, vc.MZ, r) @ weight
        one = np.array([437.0])
        expected = kernels.production_products(one, 4.0 / 3.0 * one / one, 2.0 / 3.0 * one / one, vc.MZ)[:, 0]
        np.testing.assert_allclose(integral, expected, rtol=1e-12, atol=1e-12 * np.abs(expected).max())


def test_momenta_and_features_are_inverse() -> None:
    frame = points().assign(y_zh=np.linspace(-2.0, 2.0, 12))
    lepton, antilepton, higgs = kinematics.momenta(frame, azimuth=np.linspace(-3.0, 3.0, 12))
    back = kinematics.features(lepton, antilepton, higgs)
    for name in frame:
        np.testing.assert_allclose(back[name], frame[name], rtol=1e-8, atol=1e-8)
    mass2 = higgs[:, 0] ** 2 - np.sum(higgs[:, 1:] ** 2, axis=1)
    np.testing.assert_allclose(np.sqrt(mass2), vc.MH, rtol=1e-8)
