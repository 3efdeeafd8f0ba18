"""The language of observables: labels, ordering in pT, sums, defaults, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from smeft_unbinned.errors import InputError
from smeft_unbinned.events import kinematics as kin
from smeft_unbinned.events.observables import (
    Particles,
    compute,
    default_observables,
    parse_observable,
)

H = [30.0, 40.0, 10.0, 140.0]
J_SOFT = [20.0, 0.0, 50.0, np.sqrt(2900.0)]
J_HARD = [0.0, -60.0, -80.0, 100.0]


def sample(*particles: tuple[int, int, list[float]], events: int = 2) -> Particles:
    pdg = np.tile([p[0] for p in particles], (events, 1))
    status = np.tile([p[1] for p in particles], (events, 1))
    return Particles(pdg, status, np.tile([p[2] for p in particles], (events, 1, 1)), "file.lhe", first=7)


VBF = sample((2, -1, [0, 0, 9, 9]), (25, 1, H), (1, 1, J_SOFT), (-2, 1, J_HARD))


def value(name: str, particles: Particles = VBF) -> float:
    return float(parse_observable(name)(particles)[0])


def test_values_and_order_in_pt():
    assert value("pt[h]") == 50.0
    assert value("pt[j1]") == 60.0
    assert value("pt[j2]") == 20.0
    assert value("ht") == 80.0
    assert value("met") == 0.0
    assert value("mass[j1 + j2]") == pytest.approx(kin.mass(np.add(J_SOFT, J_HARD)))
    assert value("delta_phi[j1,j2]") == pytest.approx(np.pi / 2)  # the one of larger rapidity is j2
    assert value("delta_r[j1,h]") == pytest.approx(kin.delta_r(np.array(J_HARD), np.array(H)))


def test_charges_sums_and_neutrinos():
    event = sample((-11, 1, H), (11, 1, J_SOFT), (12, 1, J_HARD), (23, 2, np.add(H, J_SOFT).tolist()))
    assert value("pt[l+]", event) == 50.0
    assert value("pt[l-]", event) == 20.0
    assert value("pt[l2]", event) == 20.0
    assert value("mass[l++l-]", event) == pytest.approx(value("mass[z]", event))
    assert value("met", event) == value("pt[nu]", event) == 60.0


def test_incoming_and_decayed_partons_are_no_jets():
    assert value("pt[j1]", sample((5, -1, H), (5, 2, H), (21, 1, J_SOFT))) == 20.0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pr[h]", "unknown observable"),
        ("delta_ph[j1,j2]", "Did you mean 'delta_phi'"),
        ("pt[higgs]", "not a particle"),
        ("pt[nu0]", "not a particle"),
        ("mass[j1+]", "not a particle"),
        ("pt[h,j1]", "2 arguments, pt takes 1"),
        ("delta_r[h]", "1 arguments, delta_r takes 2"),
        ("pt", "0 arguments"),
        ("ht[j1]", "ht takes 0"),
        ("", "unknown observable"),
    ],
)
def test_refused(text, says):
    with pytest.raises(InputError, match=says.replace("(", r"\(")):
        parse_observable(text)


def test_missing_particle_names_file_and_event():
    with pytest.raises(InputError, match=r"file\.lhe, event 7: particle 'j3' is not defined.*has 2"):
        value("pt[j3]")
    with pytest.raises(InputError, match="number it"):
        value("pt[j]")


def test_defaults_of_any_final_state():
    names = [o.name for o in default_observables(VBF)]
    assert {"pt[h]", "rapidity[h]", "eta[j2]", "mass[j1+j2]", "delta_phi[j1,j2]", "mass[h+j1]"} <= set(names)
    assert [o.name for o in default_observables(sample((25, 1, H)))] == ["pt[h]", "rapidity[h]"]
    dark = sample((9000006, 1, H))
    assert [o.name for o in default_observables(dark)] == ["ht"]
    decay = default_observables(sample((24, 2, H), (-11, 1, J_SOFT), (12, 1, J_HARD)))
    assert {"pt[w]", "pt[l]", "met"} <= {o.name for o in decay}
    for particles in (VBF, dark, sample((23, 1, H), (23, 1, J_HARD), (6, 1, H), (-6, 1, J_SOFT))):
        assert np.all(np.isfinite(compute(default_observables(particles), particles)))
