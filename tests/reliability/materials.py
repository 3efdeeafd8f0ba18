"""Small inputs of every command that writes, and the commands."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from commands_run import succeed

sys.path.insert(0, str(Path(__file__).parents[1] / "events"))

from event_writers import random_events
from lhe_writer import Lhe, text_of


@dataclass(frozen=True)
class Command:
    """A command, with SEED where its seed stands, and what it needs.

    kept: a pattern of the files from which it goes on.
    """

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...]
    kept: str = ""

    def seeded(self, seed: int) -> tuple[str, ...]:
        """Return the arguments with a seed."""
        return tuple(a.replace("SEED", str(seed)) for a in self.arguments)


DATA = ("zh.dataset", "card.yaml")
COMMANDS = (
    Command("generate", ("generate", "ZH", "-n", "3000", "--operators", "cHW,cHq3", "--seed", "SEED", "-o",
            "o.events"), ()),
    Command("events", ("events", "a.lhe", "-o", "o.events"), ("a.lhe",)),
    Command("train", ("train", "zh.events", "--replicas", "2", "--epochs", "4", "--hidden", "8", "--batch",
            "64", "--seed", "SEED", "--curves", "curves.csv", "-o", "o.model"), ("zh.events",),
            "o.model.checkpoint"),
    Command("export", ("export", "zh.events", "--model", "zh.model", "--luminosity", "30", "-o", "o.dataset"),
            ("zh.events", "zh.model")),
    Command("compress", ("compress", "zh.dataset", "--tolerance", "1", "--rise", "4", "--seed", "SEED",
            "-o", "o.dataset"), ("zh.dataset",)),
    Command("fit", ("fit", "card.yaml", "--seed", "SEED", "-o", "fit"), DATA),
    Command("individual", ("fit", "card.yaml", "--individual", "--seed", "SEED", "-o", "fit"), DATA,
            "fit/individual/fits/*.json"),
    Command("nested", ("fit", "card.yaml", "--method", "ultranest", "--nlive", "40", "--seed", "SEED", "-o",
            "fit"), DATA, "fit/ultranest/*/points.f64"),
    Command("scan", ("scan", "card.yaml", "--points", "7", "-o", "scan"), DATA, "scan/unfinished/*.json"),
    Command("coverage", ("coverage", "card.yaml", "--toys", "6", "--seed", "SEED", "-o", "coverage"), DATA,
            "coverage/coverage.jsonl"),
    Command("compare", ("compare", "comparison.yaml", "-o", "compared"), ("comparison.yaml",),
            "compared/fits/*.json"),
    Command("report", ("report", "results", "-o", "report.html"), (*DATA, "results")),
)  # fmt: skip
BY_NAME = {c.name: c for c in COMMANDS}


def make(folder: Path) -> None:
    """Make all inputs in a folder."""
    common = ("--operators", "cHW,cHq3", "-o")
    succeed(folder, "generate", "ZH", "-n", 400, "--seed", 1, *common, "zh.events")
    model = ("--replicas", 1, "--epochs", 2, "--hidden", 4, "--no-plot")
    succeed(folder, "train", "zh.events", *model, "-o", "zh.model")
    succeed(folder, "export", "zh.events", "--truth", "--luminosity", 30, "-o", "zh.dataset")
    card = {
        "basis": "warsaw", "result_ID": "results", "result_path": ".",
        "datasets": [{"name": "zh", "unbinned": "zh.dataset"}],
        "coefficients": {name: {"min": -3.0, "max": 3.0} for name in ("cHW", "cHq3")},
    }  # fmt: skip
    (folder / "card.yaml").write_text(yaml.safe_dump(card))
    comparison = {
        "process": {"name": "ZH", "n": 400, "operators": ["cHW"]}, "luminosity": 30, "quadratic": True,
        "train": {"replicas": 1, "epochs": 2, "hidden": [4]},
        "schemes": ["rate"],
    }  # fmt: skip
    (folder / "comparison.yaml").write_text(yaml.safe_dump(comparison))
    sample = random_events(6)
    texts = {label: text_of(p) for label, p in zip(sample.labels, sample.points.tolist(), strict=True)}
    Lhe(np.tile(sample.weights, (4, 1)), texts, np.tile(sample.weights[:, 0], 4)).write(folder / "a.lhe")
    succeed(folder, "fit", "card.yaml", "-o", "results")


def copied(materials: Path, folder: Path, command: Command) -> Path:
    """Return a new folder with the inputs of a command."""
    folder.mkdir()
    for name in command.needs:
        source = materials / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / name)
    return folder


def inputs_of(folder: Path, command: Command) -> set[str]:
    """Return the names of all files of the inputs, relative to the folder."""
    names = set()
    for name in command.needs:
        place = folder / name
        below = place.rglob("*") if place.is_dir() else [place]
        names |= {str(p.relative_to(folder)) for p in below if p.is_file()}
    return names
