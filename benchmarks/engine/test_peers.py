"""-2 log L at two coefficients against ML4EFT and MadMiner, which run in environments of their own.

ML4EFT_PYTHON and MADMINER_PYTHON name the interpreters of these; without them the comparison is left out.
"""

from __future__ import annotations

import json
import os
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import large
import numpy as np
import pytest
from conftest import THREADS, burst

from smeft_unbinned import UnbinnedDataset
from smeft_unbinned.polynomial import Polynomial, monomials
from smeft_unbinned.processes import vh

EVENTS = 100_000
OPERATORS = ("cHW", "cHq3")
ROUNDS = 3
"""How often theirs and ours take turns; each has several calls per turn."""


@lru_cache(maxsize=1)
def events() -> tuple[np.ndarray, Polynomial]:
    """Return simulated pp -> ZH: features (N, F), and exact ratios in the single precision of networks."""
    found = vh.generate(EVENTS, seed=1, operators=OPERATORS)
    assert found.truth is not None
    ratios = np.asarray(found.truth.align(OPERATORS).dense().coefficients, dtype=np.float32)
    return found.features.to_numpy(), Polynomial(OPERATORS, ratios)


def python_of(peer: str) -> str:
    """Return the interpreter of a peer, or skip."""
    path = os.environ.get(f"{peer.upper()}_PYTHON", "")
    if not Path(path).is_file():
        pytest.skip(f"{peer} is not installed: {peer.upper()}_PYTHON names no file ({path!r})")
    return path


@pytest.mark.parametrize("peer", ["ml4eft", "madminer"])
def test_peer(peer: str, benchmark: Any, tmp_path: Path) -> None:
    python = python_of(peer)
    features, ratios = events()
    coefficients = ratios.coefficients.astype(float)
    expected = Polynomial(OPERATORS, coefficients.sum(axis=0))
    data = UnbinnedDataset("zh", Polynomial(OPERATORS, coefficients), expected)
    points = large.points(2, 64) * 0.1
    order = [1, 2, 3, 4, 5]
    np.savez(
        tmp_path / "input.npz", features=features, ratios=ratios.coefficients[:, order],
        yields=expected.coefficients, points=points,
    )  # fmt: skip
    matrix, v = np.ascontiguousarray(coefficients[:, 1:]), monomials(points[0])[1:]
    calls = {
        "ours": lambda: data.m2logl(points[0]),
        "ours, batch": lambda: data.m2logl(points),
        "numpy": lambda: -2 * np.log(1 + matrix @ v).sum(),
    }
    times: dict[str, list[float]] = {name: [] for name in (*calls, peer, "together")}

    def turn() -> dict[str, Any]:
        for name, call in calls.items():
            times[name] += [burst(call, 3)[0] for _ in range(25)]
        program = Path(__file__).with_name(f"peers_{peer}.py")
        command = [python, str(program), str(tmp_path / "input.npz")]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found = json.loads(done.stdout.splitlines()[-1])  # after what the packages say
        times[peer] += found["seconds"]
        times["together"] += found.get("together", [])
        return dict(found)

    found = benchmark.pedantic(turn, rounds=ROUNDS)
    if "values" in found:
        assert -2.0 * np.array(found["values"]) == pytest.approx(data.m2logl(points), rel=1e-9, abs=1e-6)
    seconds = {name: float(np.median(t)) for name, t in times.items() if t}
    benchmark.group = "peers"
    benchmark.extra_info.update(
        {
            "figure": f"peers, {peer}", "who": peer, "threads": THREADS, "n": 2, "events": EVENTS,
            "seconds": seconds, "points": {"ours, batch": 64, "together": 4},
            "ratios": {
                "single": seconds[peer] / seconds["ours"],
                "batch": seconds[peer] / (seconds["ours, batch"] / 64),
            },
        }
    )  # fmt: skip
