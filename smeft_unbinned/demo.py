"""The demonstration: pp -> ZH at 14 TeV from simulated events to intervals, next to the exact answer.

The Asimov data stand for 300 fb^-1 with H -> bb, Z -> ee or mumu and 30 % efficiency. Compared are the exact
unbinned likelihood, the network's, the pT(Z) bins of simplified template cross sections (STXS) of the same
events, and the network combined with a binned ZH measurement at 13 TeV from `theory_tables`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from .comparison.intervals import compare
from .data_options import FB_PER_PB
from .datasets import UnbinnedDataset, histogram
from .events import Events
from .export import export
from .likelihood import Likelihood
from .plots import intervals, training_curves
from .processes import vh
from .runcard import Runcard
from .storage import make_folder, write_text

OPERATORS = ("cHW", "cHWB", "cHq3", "cHq1", "cHu", "cHd")
LUMINOSITY = 300.0
EFFICIENCY = 0.0673 * 0.582 * 0.3
"""BR(Z -> ee, mumu) x BR(H -> bb) x selection efficiency."""
STXS = (75.0, 150.0, 250.0, 400.0, float("inf"))
BINNED = "ZH_13TeV_STXS"
EXACT, NETWORK, BINS, COMBINED = "exact", "network", "STXS bins", "network + 13 TeV"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Sizes:
    """How much work the demonstration does; the defaults take a few minutes on two cores."""

    events: int = 100_000
    asimov: int = 50_000
    replicas: int = 10
    epochs: int = 25
    seed: int = 1


def run(folder: Path, sizes: Sizes | None = None, say: Say = print, progress: bool = True) -> pd.DataFrame:
    """Run every step, write its files into the folder, and return the table of `compare`."""
    from .estimators import Estimator, train

    sizes = sizes or Sizes()
    make_folder(folder)
    say(f"[1/4] generating {sizes.events:,} events for training and {sizes.asimov:,} for the Asimov sample")
    sample = _events(sizes.events, sizes.seed, folder / "train.events", progress)
    observed = _events(sizes.asimov, sizes.seed + 1, folder / "asimov.events", progress)
    model = folder / "zh.model"
    checkpoint = folder / f"zh-{sizes.events}-{sizes.replicas}-{sizes.epochs}-{sizes.seed}.checkpoint"
    say(f"[2/4] training {sizes.replicas} networks for {len(OPERATORS)} coefficients")
    estimator: Estimator = train(
        sample, replicas=sizes.replicas, epochs=sizes.epochs, seed=sizes.seed, progress=progress,
        checkpoint=checkpoint,
    )  # fmt: skip
    estimator.save(model)
    checkpoint.unlink()
    training_curves(estimator.metadata["history"], folder / "training.png")
    say("[3/4] exporting the Asimov data")
    common: dict[str, Any] = {"luminosity": LUMINOSITY, "efficiency": EFFICIENCY, "seed": sizes.seed}
    dataset = export(estimator, observed, name="zh_14tev", **common)
    dataset.save(folder / "zh_14tev.dataset")
    card = folder / "card.yaml"
    write_text(card, _card())
    exact = export(None, observed, name="zh_14tev_exact", **common)
    say("[4/4] fitting exact, network, binned and combined likelihoods")
    table = compare(_versions(exact, dataset, observed, card), OPERATORS, progress=progress)
    write_text(folder / "intervals.csv", table.to_csv(index=False))
    for suffix in ("png", "pdf"):
        intervals(
            table,
            folder / f"intervals.{suffix}",
            f"pp -> ZH, 14 TeV, {LUMINOSITY:g} fb$^{{-1}}$, Asimov data",
        )
    return table


def _events(count: int, seed: int, path: Path, progress: bool) -> Events:
    events = vh.generate(count, operators=OPERATORS, seed=seed, unweighted=False, progress=progress)
    events.save(path)
    return events


def _versions(
    exact: UnbinnedDataset, network: UnbinnedDataset, observed: Events, card: Path
) -> dict[str, Likelihood]:
    scale = LUMINOSITY * FB_PER_PB * EFFICIENCY
    bins = histogram("zh_14tev_stxs", observed, {"pt_z": STXS}, scale)
    return {
        EXACT: Likelihood([exact]),
        NETWORK: Likelihood([network]),
        BINS: Likelihood([bins]),
        COMBINED: Runcard.load(card).likelihood(),
    }


def _card() -> str:
    """Return the runcard of the combined fit, which `smeft-unbinned fit` runs as it stands."""
    content = {
        "result_ID": "zh_combined",
        "result_path": "results",
        "basis": "warsaw",
        "datasets": [{"name": BINNED, "order": "LO"}, {"name": "zh_14tev", "unbinned": "zh_14tev.dataset"}],
        "coefficients": {name: {"min": -3.0, "max": 3.0} for name in OPERATORS},
        "nlive": 400,
        "seed": 1,
    }
    return yaml.safe_dump(content, sort_keys=False)
