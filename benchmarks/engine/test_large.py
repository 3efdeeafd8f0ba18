"""Many coefficients in low-rank storage, and many events in a mapped file; each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import THREADS

PROGRAM = Path(__file__).with_name("large.py")


def child(*arguments: object) -> dict[str, Any]:
    """Return what large.py prints."""
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(("n", "events"), [(50, 1_000_000)])
def test_low_rank(n: int, events: int, benchmark: Any) -> None:
    def forms() -> list[dict[str, Any]]:
        order = ("lowrank", "dense", "lowrank")
        return [
            child("stored", "--form", f, "--events", events, "--operators", n, "--batch", 8) for f in order
        ]

    first, dense, last = benchmark.pedantic(forms, rounds=1)
    assert first["value"] == pytest.approx(dense["value"], rel=1e-10)
    scale = np.abs(dense["gradient"]).max()
    assert first["gradient"] == pytest.approx(dense["gradient"], abs=1e-10 * scale)
    benchmark.group = f"low rank, n={n}"
    median = {
        key: {
            "ours": float(np.median(first[key] + last[key])),
            "dense": float(np.median(dense[key])),
        }
        for key in ("single", "batch", "single_cpu", "batch_cpu")
    }
    benchmark.extra_info.update(
        {
            "figure": benchmark.group, "who": "ours", "threads": THREADS, "n": n, "events": events,
            "seconds": median["single"], "seconds_batch": median["batch"], "points_batch": 8,
            "shares": {key: m["ours"] / m["dense"] for key, m in median.items()},
            "lowrank": {k: first[k] for k in ("stored", "idle", "built", "peak")},
            "dense": {k: dense[k] for k in ("stored", "idle", "built", "peak")},
        }
    )  # fmt: skip


@pytest.fixture(scope="module", params=["float64", "float32"])
def file(request: Any, tmp_path_factory: Any) -> Iterator[Path]:
    """Make a file of ten million events, and remove it afterwards."""
    path = tmp_path_factory.mktemp("large") / f"{request.param}.dataset"
    child("write", path, "--events", 10_000_000, "--operators", 8, "--dtype", request.param)
    yield path
    path.unlink()


def test_mapped_file(file: Path, benchmark: Any) -> None:
    def both() -> list[dict[str, Any]]:
        return [child("read", file), child("mapped", file), child("read", file)]

    before, found, after = benchmark.pedantic(both, rounds=1)
    benchmark.group = f"mapped file, {file.stem}"
    warm = float(np.median(before["warm"] + after["warm"]))
    rates = {key: found["bytes"] / float(np.median(found[key])) for key in ("single", "gradient", "batch")}
    benchmark.extra_info.update(
        {
            "figure": benchmark.group, "who": "ours", "threads": THREADS, **found, "rates": rates,
            "rate_cold": found["bytes"] / found["cold"], "read_warm": warm,
            "read_cold": float(np.median([before["cold"], after["cold"]])),
            "shares": {key: rate / warm for key, rate in rates.items()},
        }
    )  # fmt: skip
