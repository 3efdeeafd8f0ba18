"""Train ML4EFT (arXiv:2211.02058) on the samples of make_inputs.py, with its own code and settings.

python ml4eft_zh.py FOLDER OUTPUT [--terms cHW_linear,cHW_quadratic] [--max-epochs N]

Runs in an environment with ml4eft 0.0.5 (requirements-ml4eft.txt). For every term, OUTPUT receives
ml4eft_TERM.npz with

- predicted (N,): the coefficient of the ratio at the events of test.npz, TeV^-2 to the power of the term;
- cpu_seconds: of the training loop alone, this process; epochs: run; best_epoch: kept;
- loss, loss_validation (epochs,): as ML4EFT records them; settings: its run card, JSON.

The settings are those of the run card that ML4EFT's authors provide for pp -> ZH -> l l b b in all
coefficients, the only ZH card with the keys that release 0.0.5 reads; the coefficients and cross sections
are those of the samples.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

# ml4eft.core.truth.tt_prod names np.float when it is imported, an alias that numpy 1.24 removed. It is put
# back; nothing else of the package needs a change.
if "float" not in np.__dict__:
    np.float = float  # type: ignore[attr-defined]  # noqa: NPY001

import pandas as pd
import torch
from ml4eft.analyse.analyse import Analyse
from ml4eft.core.classifier import Fitter
from torch.utils.data import dataset as torch_dataset

CARD: dict[str, Any] = {
    "process_id": "zh",
    "epochs": 2000,
    "lr": 0.0001,
    "n_batches": 50,
    "output_size": 1,
    "hidden_sizes": [100, 100, 100],
    "n_dat": 100_000,
    "loss_type": "CE",
    "scaler_type": "robust",
    "patience": 200,
    "val_ratio": 0.2,
}


class Timed(Fitter):  # type: ignore[misc]
    """ML4EFT's Fitter, which trains when it is made, with the processor time of its training kept."""

    def train_classifier(self, data_train: Any, data_val: Any) -> None:
        start, wall = time.process_time(), time.perf_counter()
        super().train_classifier(data_train, data_val)
        self.cpu_seconds, self.wall_seconds = time.process_time() - start, time.perf_counter() - wall


def batched_items(self: Any, indices: list[int]) -> Any:
    """Return the items of a subset of events as one batch; for `--batched`."""
    rows = torch.as_tensor([self.indices[i] for i in indices])
    data = self.dataset
    return [data.events[rows], data.weights[rows], data.labels[rows]]


def batch_loading() -> None:
    """Let data loaders take a batch of events by one indexing rather than event by event.

    The batches, and with them the network, are the same, and an epoch takes a fraction of the time.
    """
    torch_dataset.Subset.__getitems__ = batched_items
    loader = torch.utils.data.DataLoader
    make = loader.__init__

    def init(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **{**options, "collate_fn": lambda batch: batch})

    loader.__init__ = init


def write_events(path: Path, features: np.ndarray, names: list[str], sigma: float) -> None:
    """Write events as ML4EFT reads them: a pickled frame whose first row starts with the cross section."""
    first = np.zeros((1, len(names)))
    first[0, 0] = sigma
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(np.concatenate([first, features]), columns=names).to_pickle(path, compression="infer")


def name_of(term: str, operators: list[str]) -> str:
    """Return ML4EFT's name of a term: c, or c_c and c1_c2 for the quadratic ones."""
    if term == "cross":
        return "_".join(operators)
    head, _, kind = term.rpartition("_")
    return {"linear": head, "quadratic": f"{head}_{head}", "cross": head}[kind]


def run(term: str, folder: Path, output: Path, work: Path, options: argparse.Namespace) -> None:
    """Train and evaluate one network and write its file."""
    with np.load(folder / f"{term}.npz") as data, np.load(folder / "sm.npz") as sm:
        names, operators = data["names"].tolist(), data["operators"].tolist()
        point = dict(zip(operators, data["point"].tolist(), strict=True))
        name = name_of(term, operators)
        write_events(work / "zh_sm/events_0.pkl.gz", sm["features"], names, float(sm["cross_section"]))
        write_events(
            work / f"zh_{name}/events_0.pkl.gz", data["features"], names, float(data["cross_section"])
        )
        n = min(len(data["features"]), len(sm["features"]))
    card = {
        **CARD,
        "event_data": str(work),
        "features": names,
        "c_train": point,
        "n_dat": min(CARD["n_dat"], n),
    }
    if options.max_epochs:
        card["epochs"] = min(card["epochs"], options.max_epochs)
        card["patience"] = min(card["patience"], card["epochs"])
    (work / "card.json").write_text(json.dumps(card))
    np.random.seed(options.seed)  # noqa: NPY002  (the generator that ml4eft shuffles with)
    torch.manual_seed(options.seed)
    fitter = Timed(str(work / "card.json"), 0, name, str(work / "models"), print_log=True)
    order = "quad" if "_" in name else "lin"
    with np.load(folder / "test.npz") as test:
        frame = pd.DataFrame(test["features"], columns=names)
    analyser = Analyse({order: {name: fitter.path_dict["model"]}}, order)
    analyser.evaluate_models(frame)
    predicted = np.asarray(analyser.models_evaluated_df["models"][order, name][0], dtype=float)
    losses = [np.loadtxt(fitter.path_dict["mc_path"] + name) for name in ("loss.out", "loss_val.out")]
    epochs = len(losses[0])
    stopped = epochs < card["epochs"]
    np.savez(
        output / f"ml4eft_{term}.npz",
        predicted=predicted,
        cpu_seconds=fitter.cpu_seconds,
        wall_seconds=fitter.wall_seconds,
        epochs=epochs,
        best_epoch=epochs - card["patience"] if stopped else epochs,
        loss=losses[0],
        loss_validation=losses[1],
        batched=options.batched,
        settings=json.dumps({k: v for k, v in card.items() if k != "event_data"} | {"seed": options.seed}),
    )
    print(f"{term}: {fitter.cpu_seconds:.0f} CPU s, {epochs} epochs", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--terms", default="cHW_linear,cHW_quadratic")
    parser.add_argument("--max-epochs", type=int, help="fewer than the 2,000 of the card")
    parser.add_argument("--batched", action="store_true", help="same training, data loaded batch by batch")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    options.output.mkdir(parents=True, exist_ok=True)
    if options.batched:
        batch_loading()
    for term in options.terms.split(","):
        with tempfile.TemporaryDirectory(prefix="ml4eft-") as work:
            run(term, options.folder, options.output, Path(work), options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
