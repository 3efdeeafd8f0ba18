"""Boosted trees: every coefficient of the ratio is one regression by LightGBM.

Derivative learning is a sum of weighted squared errors, one for each coefficient, which gradient boosting
minimises as well as networks do (arXiv:2107.10859, arXiv:2205.12976). Trees need no tuning and little time,
and are constant outside the range of the training events.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...errors import InputError, require
from ..data import Data, Labels
from ..registry import check_count
from . import trees_text
from .base import Backbone

if TYPE_CHECKING:
    from ..ensembles import Ensemble
    from ..heads import Head
    from ..loop import Outcome, Problem, Report
    from ..losses import Loss

HEADS = ("quadratic", "linear")
_EVERY = 10
"""Rounds per entry of the curves."""


@dataclass(frozen=True)
class Trees(Backbone):
    """One sequence of trees for every coefficient and member.

    trees: at most; a coefficient stops after `patience` of the settings, times ten, without a better
        validation error. leaves: of each tree. shrinkage: factor on each tree's correction. min_leaf: events
        in a leaf, at least. fraction: of the events that each tree sees, drawn anew. threads: of the CPU.
    Of the settings of a training, epochs, batch, and those of the optimiser play no part.
    """

    trees: int = 500
    leaves: int = 31
    shrinkage: float = 0.1
    min_leaf: int = 20
    fraction: float = 0.7
    threads: int = 1

    name = "trees"
    packages = ("lightgbm", "numpy")

    def __post_init__(self) -> None:
        for field, least in {"trees": 1, "leaves": 2, "min_leaf": 1, "threads": 1}.items():
            check_count(field, getattr(self, field), least)
        for field in ("shrinkage", "fraction"):
            if not 0 < getattr(self, field) <= 1:
                raise InputError(f"{field} must be above 0 and at most 1, got {getattr(self, field)}")

    def refusal(self, loss: Loss, head: Head, ensemble: Ensemble) -> str:
        if not loss.regression:
            return (
                f"trees regress the coefficients of the ratio, and loss {loss.name!r} is no regression; take "
                "loss='derivative' with head='quadratic', or loss='sally'"
            )
        if head.name not in HEADS:
            return (
                f"trees fit every coefficient by itself, which head {head.name!r} does not allow; take "
                "head='quadratic' or head='linear'"
            )
        if ensemble.coupled:
            return f"trees are grown one by one, and ensemble {ensemble.name!r} couples its members"
        if ensemble.name == "seeds" and ensemble.replicas > 1 and self.fraction == 1:
            return "with fraction=1 nothing is left to chance: all members of ensemble 'seeds' are the same"
        return ""

    def fit(self, problem: Problem, report: Report) -> Outcome:
        """Grow the trees of all members; each coefficient stops by itself.

        Raises InputError for negative weights, a device other than the CPU, and a checkpoint.
        """
        from ..loop import Outcome

        require("lightgbm", "trees")
        _check(problem)
        scales = _scales(problem)
        models: list[list[np.ndarray]] = []
        curves: list[np.ndarray] = []  # (rounds, 2) of each member
        for position, member in enumerate(problem.members):
            fits = [self._regress(problem, position, member, k) for k in range(problem.outputs)]
            models.append([text for text, _ in fits])
            curves.append(_summed([curve for _, curve in fits], scales))
            so_far = np.array([curve[-1] for curve in curves])
            done = problem.settings.epochs * (position + 1) // len(problem.members)
            report(done, so_far[:, 0], so_far[:, 1])
        return Outcome(
            tuple(_stacked([model[k] for model in models]) for k in range(problem.outputs)),
            [float(curve[-1, 1]) for curve in curves],
            _history(curves),
        )

    def _regress(
        self, problem: Problem, position: int, member: int, output: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the trees of one coefficient, bytes (L,), and its errors up to the best round, (T, 2)."""
        lightgbm = require("lightgbm", "trees")
        settings = problem.settings
        seed = int(np.random.SeedSequence([settings.seed, member, output]).generate_state(1)[0] >> 1)
        options = {
            "objective": "regression", "num_leaves": self.leaves, "learning_rate": self.shrinkage,
            "min_data_in_leaf": self.min_leaf, "bagging_fraction": self.fraction,
            "bagging_freq": int(self.fraction < 1), "seed": seed, "num_threads": self.threads,
            "deterministic": True, "force_row_wise": True, "verbose": -1,
        }  # fmt: skip
        sets: list[Any] = []
        for data in (problem.train, problem.valid):
            weights = data.weights[:, position].numpy()
            used = np.flatnonzero(weights)
            sets.append(
                lightgbm.Dataset(
                    data.inputs.numpy()[used],
                    _labels(data, output)[used],
                    weight=weights[used],
                    reference=sets[0] if sets else None,
                )
            )
        errors: dict[str, Any] = {}
        stop = lightgbm.early_stopping(10 * settings.patience, verbose=False)
        booster = lightgbm.train(
            options, sets[0], self.trees, valid_sets=sets, valid_names=["training", "validation"],
            callbacks=[stop, lightgbm.record_evaluation(errors)],
        )  # fmt: skip
        best = booster.best_iteration
        text = booster.model_to_string(num_iteration=best)
        curve = np.stack([errors[name]["l2"][:best] for name in ("training", "validation")], axis=1)
        return np.frombuffer(zlib.compress(text.encode()), dtype=np.uint8), curve

    def predict(self, parameters: Sequence[np.ndarray], inputs: np.ndarray, outputs: int) -> np.ndarray:
        """Return (M, N, K) for inputs (N, D) and, of each coefficient, the trees of all members, (M, L)."""
        lightgbm = require("lightgbm", "trees")
        found = np.empty((len(parameters[0]), len(inputs), outputs))
        for k, texts in enumerate(parameters):
            for m, text in enumerate(texts):
                booster = lightgbm.Booster(model_str=trees_text.unpack(text))
                found[m, :, k] = booster.predict(
                    np.asarray(inputs, dtype=np.float32), num_threads=self.threads
                )
        return found


def _check(problem: Problem) -> None:
    if problem.settings.device != "cpu":
        raise InputError(f"trees are grown on the CPU, got device={problem.settings.device!r}; take 'cpu'")
    if problem.checkpoint is not None:
        raise InputError("backbone 'trees' writes no checkpoints; leave the checkpoint out")
    lowest = min(float(data.weights.min()) for data in (problem.train, problem.valid))
    if lowest < 0:
        raise InputError(
            f"trees need event weights that are not negative, got one of {lowest:g} times the mean; take "
            "backbone='mlp'"
        )


def _labels(data: Data, output: int) -> np.ndarray:
    """Return what output number `output` should be, (N,): linear coefficients, then those of u_i u_j."""
    assert data.labels is not None
    n = data.labels.linear.shape[1]
    if output < n:
        return np.asarray(data.labels.linear[:, output].numpy())
    rows, columns = np.triu_indices(n)
    i, j = int(rows[output - n]), int(columns[output - n])
    return np.asarray(data.labels.quadratic[:, i, j].numpy() * (1.0 if i == j else 2.0))


def _scales(problem: Problem) -> np.ndarray:
    """Return the loss of an error of one in each output, (K,), by which errors add up to the loss."""
    count, n = problem.outputs, problem.n
    zero = Labels(torch.zeros(count, n), torch.zeros(count, n, n))
    part = problem.train.take(torch.zeros(count, dtype=torch.int64))
    batch = Data(part.inputs, part.growth, part.weights, zero)
    errors = problem.loss(problem.train)(problem.ratio(torch.eye(count)[None]), batch, torch.Generator())
    return np.asarray(errors[0].numpy(), dtype=float)


def _summed(curves: Sequence[np.ndarray], scales: np.ndarray) -> np.ndarray:
    """Return the loss after every round, (T, 2); coefficients that have stopped keep their last error."""
    rounds = max(map(len, curves))
    last = [np.minimum(np.arange(rounds), len(curve) - 1) for curve in curves]
    parts = [s * curve[index] for s, curve, index in zip(scales, curves, last, strict=True)]
    return np.asarray(np.sum(parts, axis=0))


def _history(curves: Sequence[np.ndarray]) -> list[dict[str, list[float]]]:
    """Return the losses of all members every few rounds, and at the end."""
    rounds = max(map(len, curves))
    steps = sorted({*range(_EVERY - 1, rounds, _EVERY), rounds - 1})
    rows = [np.array([curve[min(step, len(curve) - 1)] for curve in curves]) for step in steps]
    return [{"training": row[:, 0].tolist(), "validation": row[:, 1].tolist()} for row in rows]


def _stacked(texts: Sequence[np.ndarray]) -> np.ndarray:
    """Return texts of different lengths as one array (M, L), zeros at their ends."""
    stacked = np.zeros((len(texts), max(map(len, texts))), dtype=np.uint8)
    for row, text in zip(stacked, texts, strict=True):
        row[: len(text)] = text
    return stacked
