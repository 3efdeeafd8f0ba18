"""Stage `coverage`: how often intervals of the default method and exact ones contain the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from common import EXPECTED, PROBLEMS, Bench, cached, code, exact

from smeft_unbinned.diagnostics import coverage as covered
from smeft_unbinned.diagnostics import prepare
from smeft_unbinned.diagnostics.result import plain
from smeft_unbinned.estimators import Estimator, train
from smeft_unbinned.storage import make_folder

STAGE = "coverage"
PROBLEM = "zh2"
TOYS, POOL = 500, 300_000
FACTORS = ((0.0, 0.0), (0.6, 0.0), (-0.5, 0.5))
"""Points in exact 95 % half-widths at 1,000 expected events."""


def run(bench: Bench) -> None:
    """Fit toys at three points, for each number of expected events, with the network and the exact ratios."""
    training = {"replicas": 10 if bench.scale >= 1 else 2, "seed": bench.seed, **bench.training()}
    toys, pool = bench.count(TOYS, 10), bench.count(POOL, 5000)
    for expected in EXPECTED:
        asked = {"problem": PROBLEM, "train": training, "toys": toys, "pool": pool, "factors": FACTORS}
        compute = _covered(bench, training, toys, pool, expected)
        cached(bench, STAGE, f"expected_{expected}", {**asked, "expected": expected}, compute)


def _covered(
    bench: Bench, training: dict[str, Any], toys: int, pool: int, expected: int
) -> Callable[[], dict[str, Any]]:
    def compute() -> dict[str, Any]:
        problem, reference = PROBLEMS[PROBLEM], exact(PROBLEM, bench.scale, bench.seed)
        estimator = _estimator(bench, training)
        case = prepare(estimator, problem.generate(pool, bench.seed + 4000), expected, bench.seed)
        check = covered(case, np.array(FACTORS) * reference.widths, toys=toys)
        return {
            "operators": problem.operators,
            "replicas": estimator.members,
            "events": bench.count(problem.events, 1000),
            "expected": expected,
            "toys": toys,
            "pool": pool,
            "points": np.array(FACTORS) * reference.widths,
            "verdict": check.verdict,
            "sentence": check.sentence,
            "numbers": check.numbers,
            **{name: plain(table) for name, table in check.tables.items()},
        }

    return compute


def _estimator(bench: Bench, training: dict[str, Any]) -> Estimator:
    """Return the default method; a training that was ended goes on where it stopped."""
    folder = make_folder(bench.folder / STAGE)
    problem = PROBLEMS[PROBLEM]
    sample = problem.generate(bench.count(problem.events, 1000), bench.seed)
    name = f"training_{bench.scale:g}_{bench.seed}_{code()}.safetensors"
    return train(sample, **training, checkpoint=folder / name)
