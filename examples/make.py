"""Run the examples: python examples/make.py [zh] [ttbar] [wh_cp_odd] [--output FOLDER].

Events, networks, fits, and every table and figure of `smeft-unbinned compare` go to a folder per example
under FOLDER, default build/examples, where a second run finds what is done. The numbers go to numbers.json
beside the cards, the figures of docs/examples.md to docs/figures.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sign
import widths
from matplotlib.figure import Figure

from smeft_unbinned.comparison import Comparison, ComparisonCard, run
from smeft_unbinned.comparison.figures import saturation_figure
from smeft_unbinned.storage import make_folder, write_text

HERE = Path(__file__).resolve().parent
FIGURES = HERE.parent / "docs" / "figures"
CARDS = {"zh": ("two", "six"), "ttbar": ("two", "four"), "wh_cp_odd": ("card",)}
"""The cards of each example, files of its folder."""


def cards(example: str) -> dict[str, ComparisonCard]:
    """Return the cards of an example by name."""
    return {name: ComparisonCard.load(HERE / example / f"{name}.yaml") for name in CARDS[example]}


def make(
    example: str, chosen: Mapping[str, ComparisonCard], folder: Path, *, progress: bool = False
) -> tuple[dict[str, Any], dict[str, Figure]]:
    """Run the cards of an example; return its numbers, JSON types, and its figures by name.

    All cards share the events and the network that the first of them makes in the folder.
    """
    kept = make_folder(folder)
    found: dict[str, Comparison] = {}
    for name, card in chosen.items():
        found[name] = run(card, folder=kept, progress=progress)
        found[name].save(kept / name)
    if example == "wh_cp_odd":
        numbers = sign.numbers(chosen["card"], found["card"], kept)
        return numbers, {"": sign.figure(numbers)}
    numbers = {name: widths.numbers(comparison) for name, comparison in found.items()}
    figures = {"_widths": widths.figure(numbers)}
    for name, comparison in found.items():
        text = f"{comparison.about['process']}, {comparison.about['luminosity']:g} fb$^{{-1}}$"
        figures[f"_saturation_{name}"] = saturation_figure(comparison.saturation, comparison.reference, text)
    return numbers, figures


def main() -> None:
    """Make what the command line names, all examples by default."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("example", nargs="*", default=[*CARDS], help=f"of {', '.join(CARDS)}; default all")
    parser.add_argument("--output", type=Path, default=HERE.parent / "build" / "examples")
    options = parser.parse_args()
    if unknown := [name for name in options.example if name not in CARDS]:
        parser.error(f"no example {', '.join(unknown)}; there are {', '.join(CARDS)}")
    for example in options.example:
        start = time.perf_counter()
        numbers, figures = make(example, cards(example), options.output / example, progress=True)
        write_text(HERE / example / "numbers.json", json.dumps(numbers, indent=1) + "\n")
        for name, figure in figures.items():
            figure.savefig(FIGURES / f"examples_{example}{name}.png", dpi=80)
        print(f"{example}: {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
