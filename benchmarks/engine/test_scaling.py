"""How the time of a value grows with the number of events and of coefficients."""

from __future__ import annotations

import time
from typing import Any

import large
import numpy as np
import pytest
from conftest import THREADS

EVENTS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
OPERATORS = (1, 2, 4, 8, 16, 32, 50)


def medians(n: int, events: int, form: str) -> dict[str, float]:
    """Return the time per point of a value alone and in a batch of 64."""
    data, where = large.dataset(events, n, form), large.points(n, 64)
    found = {}
    for name, c, points in (("single", where[0], 1), ("batch", where, 64)):
        data.m2logl(c)
        start = time.perf_counter()
        data.m2logl(c)
        rounds = int(np.clip(1.5 / (time.perf_counter() - start), 2, 30))
        found[name] = float(np.median(large.timed(lambda c=c: data.m2logl(c), rounds)[0])) / points
    return found


@pytest.mark.parametrize("form", ["dense", "lowrank"])
@pytest.mark.parametrize("axis", ["events", "operators"])
def test_scaling(axis: str, form: str, benchmark: Any) -> None:
    steps = [(8, k) for k in EVENTS] if axis == "events" else [(n, 100_000) for n in OPERATORS]
    found = benchmark.pedantic(lambda: [medians(n, k, form) for n, k in steps], rounds=1)
    benchmark.group = f"scaling with {axis}"
    benchmark.extra_info.update(
        {
            "figure": benchmark.group, "who": "ours", "threads": THREADS, "form": form,
            "n": [n for n, _ in steps], "events": [k for _, k in steps],
            "single": [f["single"] for f in found], "batch": [f["batch"] for f in found],
        }
    )  # fmt: skip
