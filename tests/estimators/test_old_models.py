"""A file of the time before methods had axes is read as what it was.

The file was made with commit 1fa02ea by

    events = vh.generate(600, operators=("cHW", "cHWtil"), seed=3, pt_min=75.0)
    train(events, features=["m_zh", "pt_z", "phi_l"], replicas=2, hidden=(8, 8), epochs=3, rank=2, seed=1)
    .save("model_without_axes.safetensors")

and the numbers below by its `replicas(features).dense().coefficients` there.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from smeft_unbinned import Estimator, SumOfSquares
from smeft_unbinned.estimators.backbones import MLP
from smeft_unbinned.estimators.heads import Squares

FILE = Path(__file__).parent / "data" / "model_without_axes.safetensors"
FEATURES = pd.DataFrame(
    [
        [278.628, 81.021, -0.977],
        [299.21, 97.079, -1.74],
        [453.304, 173.732, -1.118],
        [280.085, 76.204, -2.648],
    ],
    columns=["m_zh", "pt_z", "phi_l"],
)
COEFFICIENTS = [
    [
        [1.0, -0.0701949265, -0.227269508, 0.0861594672, -0.137344615, 0.075078284],
        [1.0, 0.220596467, -0.496364388, 0.0239803791, -0.065053292, 0.0638415356],
        [1.0, 0.560939404, -0.369128547, 0.0873577938, -0.115531293, 0.0382058253],
        [1.0, 0.85014096, -0.194358409, 0.296701689, -0.160281949, 0.0224419097],
    ],
    [
        [1.0, 0.755289903, -0.0952290829, 0.143243979, -0.0459575249, 0.0420171448],
        [1.0, 0.408155809, -0.513522462, 0.0418540691, -0.0973083158, 0.133922182],
        [1.0, 0.789256465, -0.174147808, 0.159819229, 0.0906788247, 1.5615489],
        [1.0, 0.446279117, -0.202948133, 0.0552162254, -0.0431430759, 0.0105085582],
    ],
]


@pytest.fixture(scope="module")
def old() -> Estimator:
    return Estimator.load(FILE)


def test_it_predicts_what_it_did(old: Estimator) -> None:
    members = old.replicas(FEATURES)
    assert isinstance(members, SumOfSquares)
    np.testing.assert_allclose(members.dense().coefficients, COEFFICIENTS, rtol=1e-5, atol=1e-7)
    mean, spread = old.predict(FEATURES)
    np.testing.assert_allclose(mean.coefficients, np.mean(COEFFICIENTS, axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(spread, np.std(COEFFICIENTS, axis=0, ddof=1), rtol=1e-4, atol=1e-7)


def test_its_parts_are_known(old: Estimator) -> None:
    assert old.operators == ("cHW", "cHWtil")
    assert old.features == ("m_zh", "pt_z", "phi_l")
    assert old.members == 2
    assert old.head == Squares(rank=2)
    assert isinstance(old.backbone, MLP)
    assert old.notes == []
    assert old.metadata["settings"]["hidden"] == [8, 8]


def test_saved_again_it_is_the_same(old: Estimator, tmp_path: Path) -> None:
    old.save(tmp_path / "new.safetensors")
    new = Estimator.load(tmp_path / "new.safetensors")
    assert (new.backbone, new.head, new.operators) == (old.backbone, old.head, old.operators)
    a, b = (e.replicas(FEATURES).dense().coefficients for e in (old, new))
    np.testing.assert_array_equal(a, b)
