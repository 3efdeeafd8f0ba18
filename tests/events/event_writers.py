"""Writes events with weights at points in the formats of the readers: MadMiner, NanoAOD-like ROOT, frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from smeft_unbinned.events import Events
from smeft_unbinned.events.morphing import monomial_matrix
from smeft_unbinned.polynomial import pack, size


@dataclass
class Weighted:
    """N events: features, weights (N, B) in pb at points (B, n), and the polynomials (N, P) behind them."""

    features: pd.DataFrame
    operators: tuple[str, ...]
    points: np.ndarray
    weights: np.ndarray
    coefficients: np.ndarray

    @property
    def labels(self) -> list[str]:
        return [f"w{b}" for b in range(len(self.points))]

    @property
    def named(self) -> dict[str, dict[str, float]]:
        rows = self.points.tolist()
        return {
            label: dict(zip(self.operators, row, strict=True))
            for label, row in zip(self.labels, rows, strict=True)
        }

    @property
    def ratios(self) -> np.ndarray:
        return self.coefficients / self.coefficients[:, :1]

    def frame(self) -> pd.DataFrame:
        """Features and weights as columns."""
        return self.features.assign(**dict(zip(self.labels, self.weights.T, strict=True)))


def points_for(n: int, scale: float = 0.5) -> np.ndarray:
    """Points that determine the polynomials in n operators, the SM first, (P, n)."""
    eye = np.eye(n)
    pairs = [eye[i] + eye[j] for i in range(n) for j in range(i)]
    return scale * np.concatenate([np.zeros((1, n)), eye, -eye, *([pairs] if pairs else [])])


def from_events(events: Events, scale: float = 0.5) -> Weighted:
    """Weights at points from the truth of a sample."""
    points = points_for(len(events.operators), scale)
    q = events.truth.coefficients * np.asarray(events.weights)[:, None]
    return Weighted(events.features, events.operators, points, q @ monomial_matrix(points).T, q)


def random_events(events: int = 12, n: int = 2, seed: int = 0) -> Weighted:
    """Events of random sums of squares."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(0.0, 0.5, (events, n + 1, n + 1))
    factors[:, :, 0] = np.eye(n + 1)[0]
    q = pack(np.einsum("eri,erj->eij", factors, factors)) * rng.uniform(0.5, 1.5, (events, 1))
    assert q.shape == (events, size(n))
    frame = pd.DataFrame({"pt": rng.exponential(100.0, events), "eta": rng.normal(size=events)})
    points = points_for(n)
    names = ("cHW", "cHB", "cHWB", "cHbox")[:n]
    return Weighted(frame, names, points, q @ monomial_matrix(points).T, q)


def madminer_fields(sample: Weighted, **changes: Any) -> dict[str, Any]:
    """The fields of a MadMiner file by path; `changes` replaces some (None leaves it out)."""
    n, b = len(sample.operators), len(sample.points)
    rows, columns = np.triu_indices(n + 1)
    components = np.zeros((size(n), n + 1), dtype=int)
    np.add.at(components, (np.arange(size(n)), rows), 1)
    np.add.at(components, (np.arange(size(n)), columns), 1)
    names = list(sample.features)
    fields: dict[str, Any] = {
        "parameters/names": np.array(sample.operators, dtype="S256"),
        "parameters/lha_blocks": np.array(["smeft"] * n, dtype="S256"),
        "parameters/lha_ids": np.arange(n),
        "parameters/max_power": np.full((n, 1), 2),
        "parameters/ranges": np.tile([-1.0, 1.0], (n, 1)),
        "parameters/transforms": np.array([""] * n, dtype="S256"),
        "benchmarks/names": np.array(sample.labels, dtype="S256"),
        "benchmarks/values": sample.points,
        "benchmarks/is_nuisance": np.zeros(b, dtype=int),
        "benchmarks/is_reference": (np.arange(b) == 0).astype(int),
        "morphing/components": components[:, 1:],
        "morphing/morphing_matrix": np.linalg.pinv(monomial_matrix(sample.points)),
        "observables/names": np.array(names, dtype="S256"),
        "observables/definitions": np.array(["j[0].pt"] * len(names), dtype="S256"),
        "samples/observations": sample.features.to_numpy(float),
        "samples/weights": sample.weights,
    }
    fields |= {key.replace("__", "/"): value for key, value in changes.items()}
    return {key: value for key, value in fields.items() if value is not None}


def write_madminer(path: Path, fields: Mapping[str, Any]) -> Path:
    import h5py

    with h5py.File(path, "w") as file:
        for key, value in fields.items():
            file.create_dataset(key, data=value)
    return path


def write_root(path: Path, sample: Weighted, generator: float = 2.0, tree: str = "Events") -> Path:
    """A NanoAOD-like tree: relative weights in a list, a generator weight, features, and 0 to 2 jets."""
    import awkward as ak
    import uproot

    n = len(sample.features)
    jets = [[100.0 / (k + 1) for k in range(e % 3)] for e in range(n)]
    branches = {
        "LHEReweightingWeight": ak.from_regular(ak.Array(sample.weights / generator)),
        "genWeight": np.full(n, generator),
        **{name: column.to_numpy() for name, column in sample.features.items()},
    }
    types: dict[str, Any] = dict.fromkeys(branches, "float64") | {"LHEReweightingWeight": "var * float64"}
    with uproot.recreate(path) as file:
        file.mktree(tree, {**types, "Jet": 'var * {"pt": float64}'})
        lists = ak.Array([[{"pt": x} for x in event] for event in jets])
        file[tree].extend({**branches, "Jet": lists})
    return path
