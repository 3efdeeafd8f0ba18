"""Stage `ensemble50`: fifty replicas of all coefficients of pp -> ZH in six operators, on each device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from common import PROBLEMS, Bench, cached, exact, measure

from smeft_unbinned.estimators import train
from smeft_unbinned.polynomial import size

STAGE = "ensemble50"
PROBLEM = "zh6"
REPLICAS = 50


def run(bench: Bench) -> None:
    """Train and measure the ensemble on the processor, and on a GPU where there is one."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    replicas = bench.count(REPLICAS, 3)
    for device in devices:
        settings = {"replicas": replicas, "device": device, "seed": bench.seed, **bench.training()}
        cached(bench, STAGE, device, {"problem": PROBLEM, "train": settings}, _measured(bench, settings))


def _measured(bench: Bench, settings: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    def compute() -> dict[str, Any]:
        problem, reference = PROBLEMS[PROBLEM], exact(PROBLEM, bench.scale, bench.seed)
        events = bench.count(problem.events, 1000)
        sample = problem.generate(events, bench.seed)
        wall, cpu = time.perf_counter(), time.process_time()
        estimator = train(sample, **settings)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        cuda = settings["device"] == "cuda"
        return {
            "events": events,
            "replicas": estimator.members,
            "coefficient_count": size(len(problem.operators)) - 1,
            "epochs": len(estimator.metadata["history"]),
            "cpu": cpu,
            "wall": wall,
            "device": torch.cuda.get_device_name() if cuda else "cpu",
            **measure(estimator, reference),
        }

    return compute
