"""Time `log_like_nn` of ML4EFT (arXiv:2211.02058), in an environment with ml4eft 0.0.5.

python peers_ml4eft.py INPUT.npz [--calls 7]

INPUT holds ratios (N, 5) in the order c1, c2, c1^2, c1 c2, c2^2, float32, as its networks return them, yields
(6,) with the SM first, and points (K, 2). Like its fit, the program gives `Optimize` the output of the
networks at the events, evaluated beforehand (the median over replicas, here of one), so no network is run in
the calls. The class is not set up through its constructor, which reads files of events and trained networks,
but has what `log_like_nn` reads. Prints JSON: seconds of each call, and values (K,) minus that at the SM.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np

# pymultinest, which needs a Fortran library, is imported by the module but used in its sampling alone;
# np.float is named when ml4eft is imported, an alias that numpy 1.24 removed.
sys.modules.setdefault("pymultinest", ModuleType("pymultinest"))
if "float" not in np.__dict__:
    np.float = float  # type: ignore[attr-defined]  # noqa: NPY001

import pandas as pd  # noqa: E402
from ml4eft.analyse.analyse import Analyse  # noqa: E402
from ml4eft.limits.optimize_ns import Optimize  # noqa: E402

TERMS = (("lin", "c1"), ("lin", "c2"), ("quad", "c1_c1"), ("quad", "c1_c2"), ("quad", "c2_c2"))


class Prediction:
    """The total cross section by terms, as ml4eft.core.th_predictions.TheoryPred holds it."""

    def __init__(self, yields: np.ndarray) -> None:
        self.th_dict = {"sm": yields[0], "lin": {}, "quad": {}}
        for (order, name), value in zip(TERMS, yields[1:], strict=True):
            self.th_dict[order][name] = value


def make(ratios: np.ndarray, yields: np.ndarray) -> Optimize:
    """Return the object of a fit in two coefficients."""
    analyser = Analyse({}, "quad")
    models = {term: {"models": ratios[:, i].copy()} for i, term in enumerate(TERMS)}
    analyser.models_evaluated_df = pd.DataFrame.from_dict(models, orient="index")
    fit = object.__new__(Optimize)
    fit.coeff, fit.param_names, fit.lumi = ["c1", "c2"], {}, 1.0
    fit.th_pred, fit.nn_analyser = Prediction(yields), analyser
    return fit


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path)
    parser.add_argument("--calls", type=int, default=7)
    options = parser.parse_args()
    with np.load(options.input) as data:
        fit, points = make(data["ratios"].astype(np.float32), data["yields"]), data["points"]
    zero = fit.log_like_nn(np.zeros(2))
    values = [float(fit.log_like_nn(point) - zero) for point in points]
    seconds = []
    for i in range(options.calls):
        start = time.perf_counter()
        fit.log_like_nn(points[i % len(points)])
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "values": values}))


if __name__ == "__main__":
    main()
