"""Write the files of the example into a folder: `python -m plugins.smefit.example.make FOLDER`.

The unbinned dataset is synthetic: events of one energy-like variable z with the exact ratio polynomial of a
toy amplitude, A(z) = 1 + c_W (a + b z) + c_q (d + e z), that grows with energy as in Higgs-strahlung.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import yaml

from smeft_unbinned.datasets import UnbinnedDataset
from smeft_unbinned.polynomial import SumOfSquares

from ..runcard import with_unbinned

OPERATORS = ("cHW", "cHq1", "cHq3")


def amplitudes(z: np.ndarray) -> SumOfSquares:
    """Return the ratios |A(z)|^2 / |A_SM|^2 of z, (N,): one longitudinal and one transverse amplitude."""
    none, one = np.zeros_like(z), np.ones_like(z)
    longitudinal = np.stack([0.8 * one, 0.05 + 0.01 * z, 0.02 * z, 0.06 + 0.12 * z], axis=-1)
    transverse = np.stack([0.6 * one, 0.10 + 0.02 * z, 0.01 * one, 0.06 * one], axis=-1)
    helicity = np.stack([none, 0.02 * z, 0.03 * z, 0.01 * z], axis=-1)
    return SumOfSquares(OPERATORS, np.stack([longitudinal, transverse, helicity], axis=-2))


def toy_dataset(n_expected: float = 2000.0, seed: int = 1, name: str = "zh_14tev") -> UnbinnedDataset:
    """Return SM pseudo-data of about n_expected events with their exact ratios, in Warsaw coefficients."""
    rng = np.random.default_rng(seed)
    draw = rng.gamma(2.0, 0.8, size=(200_000,))
    expected = amplitudes(draw).dense().sum(np.full(draw.size, n_expected / draw.size))
    z = rng.gamma(2.0, 0.8, size=rng.poisson(n_expected))
    metadata = {"synthetic": True, "scale": 400.0, "seed": seed}
    return UnbinnedDataset(name, amplitudes(z), expected, basis="warsaw", metadata=metadata)


def make(folder: str | Path, n_expected: float = 2000.0, seed: int = 1) -> dict[str, Path]:
    """Write zh_14tev.safetensors, card.yaml and smefit.yaml into a folder; return their paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    paths = {n: target / n for n in ("zh_14tev.safetensors", "card.yaml", "smefit.yaml")}
    toy_dataset(n_expected, seed).save(paths["zh_14tev.safetensors"])
    text = (Path(__file__).parent / "card.yaml").read_text(encoding="utf-8")
    paths["card.yaml"].write_text(text, encoding="utf-8")
    card = with_unbinned(yaml.safe_load(text), target)
    paths["smefit.yaml"].write_text(yaml.safe_dump(card, sort_keys=False), encoding="utf-8")
    return paths


if __name__ == "__main__":
    for path in make(sys.argv[1] if len(sys.argv) > 1 else ".").values():
        print(path)
