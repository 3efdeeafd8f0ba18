"""The benchmarks of the likelihood engine at their smallest: events, machine, memory, and the report."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from smeft_unbinned.errors import InputError

PROGRAMS = Path(__file__).parents[1] / "benchmarks" / "engine"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import a program by name, and forget it afterwards: its name is a common word."""
    monkeypatch.syspath_prepend(str(PROGRAMS))
    yield importlib.import_module
    own = [n for n, m in sys.modules.items() if Path(getattr(m, "__file__", None) or "").parent == PROGRAMS]
    for name in own:
        del sys.modules[name]


def test_both_forms_hold_the_same_events(program: Callable[[str], ModuleType]) -> None:
    large = program("large")
    found = [large.stored(form, 60_000, 3, 2) for form in ("dense", "lowrank")]
    assert found[0]["value"] == pytest.approx(found[1]["value"], rel=1e-10)
    assert found[0]["gradient"] == pytest.approx(found[1]["gradient"], rel=1e-8)
    assert [f["stored"] for f in found] == [8 * 60_000 * 10, 8 * 60_000 * 12]
    assert found[1]["peak"] >= found[1]["idle"] > 0


def test_files_are_read_and_evaluated(program: Callable[[str], ModuleType], tmp_path: Path) -> None:
    large = program("large")
    path = tmp_path / "drawn.dataset"
    written = large.write(path, 5000, 2, "float32")
    found, read = large.mapped(path, rounds=1), large.read(path, rounds=1)
    assert written["bytes"] == read["bytes"] == path.stat().st_size
    assert (found["events"], found["bytes"]) == (5000, 4 * 5000 * 6)
    expected = large.dataset(5000, 2, dtype=np.float32).m2logl(large.points(2, 64)[0])
    assert found["value"] == pytest.approx(float(expected), rel=1e-12)
    assert read["warm"][0] > 0


def test_rates_of_the_machine(program: Callable[[str], ModuleType]) -> None:
    found = program("machine").measure(1, length=2**14, side=32, logs=64, rounds=2)
    for kind in ("memory", "dgemm", "sgemm", "logarithms"):
        assert found[kind]["best"] >= found[kind]["median"] > 0
    assert found["threads"] == 1


def entry(figure: str, threads: int, **info: Any) -> dict[str, Any]:
    """Return an entry of a JSON file of pytest-benchmark."""
    return {"extra_info": {"figure": figure, "who": "ours", "threads": threads, **info}}


def race(figure: str, threads: int, seconds: dict[str, float], **info: Any) -> dict[str, Any]:
    """Return an entry of a comparison in which the first is this package and evaluates 64 points."""
    first = next(iter(seconds))
    points = {first: 64}
    each = {name: s / points.get(name, 1) for name, s in seconds.items()}
    ratios = {name: s / each[first] for name, s in each.items() if name != first}
    return entry(
        figure, threads, seconds=seconds, points=points, ratios=ratios, ratios_cpu=ratios, **info
    )  # fmt: skip


def test_report(program: Callable[[str], ModuleType], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    results, docs = tmp_path / "results", tmp_path / "docs"
    report = program("report")
    docs.mkdir()
    with pytest.raises(InputError, match="make bench"):
        report.write(results, docs)
    results.mkdir()
    machine = program("machine")
    rates = {"median": 1e9, "best": 2e9}
    for threads in (1, 2):
        found = {"machine": machine.about(), "threads": threads}
        found |= dict.fromkeys(("memory", "dgemm", "sgemm", "logarithms"), rates)
        (results / f"machine_{threads}.json").write_text(json.dumps(found))
    memory = {"stored": 10**9, "idle": 10**8, "built": 10**9, "peak": 13 * 10**8}
    rate = {"single": 3e9, "gradient": 3e9, "batch": 1e9}
    entries = [
        race("batch, n=8", 1, {"ours": 0.064, "numpy": 0.005}),
        race("batch, n=16", 1, {"ours": 0.064, "numpy": 0.005}),
        race("float32, n=8", 1, {"ours": 0.064, "numpy": 0.003}, change=1e-5, change_far=1e-4, value_far=9.0),
        race("derivatives, batch, n=8", 2, {"value": 0.064, "gradient": 0.002, "hessian": 0.02}),
        entry(
            "low rank, n=50", 1, events=10**6, seconds={"ours": 0.1, "dense": 1.0}, points_batch=8,
            seconds_batch={"ours": 0.8, "dense": 8.0}, lowrank=memory, dense=memory,
            shares={"single": 0.1, "single_cpu": 0.1, "batch": 0.1},
        ),
        entry(
            "mapped file, float64", 1, events=10**7, n=8, bytes=36 * 10**8, rates=rate, rate_cold=1e9,
            read_warm=8e9, read_cold=2e9, points=64, load=3.0, peak=10**9, shares={"single": 0.375},
        ),
        entry(
            "peers, ml4eft", 1, seconds={"ml4eft": 0.1, "ours": 2e-4, "ours, batch": 6.4e-3, "numpy": 3e-4},
            points={"together": 4}, ratios={"single": 500.0, "batch": 1000.0},
        ),
        *(
            entry(f"scaling with {a}", 1, form=f, n=[1, 8], events=[10, 100], single=[1, 10], batch=[1, 10])
            for a in ("events", "operators")
            for f in ("dense", "lowrank")
        ),
    ]  # fmt: skip
    (results / "bench_1.json").write_text(json.dumps({"benchmarks": entries}))
    text = report.write(results, docs).read_text()
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("|")}
    assert (
        "| 5 times (processor time 5) | yes |"
        in rows["batch of 64, n = 8, one thread: at least 4 times less time per point than numpy"]
    )
    assert (
        "**no**" in rows["batch of 64, n = 16, one thread: at least 6 times less time per point than numpy"]
    )
    assert (
        "2 times (processor time 2) | yes"
        in rows["gradient, batch of 64, n = 8, 2 threads: at most 2.5 times the value"]
    )
    assert "**no**" in rows["hessian, batch of 64, n = 8, 2 threads: at most 15 times the value"]
    assert "1.20 GB" in rows["the same: memory at most 1.3 GB"]
    assert sum("38%" in line and "**no**" in line for line in text.splitlines()) == 1
    assert "yes" in rows["ml4eft, n = 2, one thread: at least 1,000 times less time, in a batch of 64"]
    assert "| n = 8, 1 thread | 1.00 | 5.00 |" in text
    assert (docs / "figures" / "engine_scaling.png").read_bytes().startswith(b"\x89PNG")
