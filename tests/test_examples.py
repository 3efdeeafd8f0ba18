"""The examples: small versions say what docs/examples.md says, and so do the committed numbers."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from math import hypot
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from smeft_unbinned.comparison import ALONE, TOGETHER, ComparisonCard, parse_schemes

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

EXAMPLES = Path(__file__).parents[1] / "examples"
SEES_LITTLE = {"zh": ("pt_z", "m_zh"), "ttbar": ("pt_t", "m_tt")}
"""A single feature that is not enough, and the one whose bins are refined."""
SMALL = {
    "zh": [
        "rate",
        "stxs",
        {"optimal": ["pt_z"], "n": 8},
        {"equal": ["m_zh"], "n": [2, 4, 8]},
        {"score": [2, 4, 8]},
    ],
    "ttbar": [
        "rate",
        {"optimal": ["pt_t"], "n": 8},
        {"equal": ["m_tt"], "n": [2, 4, 8]},
        {"score": [2, 4, 8]},
    ],
}


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Import a program by name, and forget it afterwards: its name is a common word."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield importlib.import_module
    torch.set_num_threads(threads)
    own = [n for n, m in sys.modules.items() if Path(getattr(m, "__file__", None) or "").parent == EXAMPLES]
    for name in own:
        del sys.modules[name]


def small(card: ComparisonCard, schemes: list[Any], **changes: Any) -> ComparisonCard:
    """Return a card with fewer events, networks and binnings."""
    process = {**(card.process or {}), "n": 10_000, "operators": list(card.operators or ())}
    train = {"replicas": 2, "epochs": 12, "seed": 1}
    return replace(card, process=process, train=train, schemes=parse_schemes(schemes), **changes)


class Widths:
    """Ratios of widths of a study by version, fit and coefficient, with errors."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.found, self.versions = found, found["versions"]
        self.operators = list(self.versions["exact"]["ratios"][ALONE])
        self.keys = [(fit, name) for fit in (ALONE, TOGETHER) for name in self.operators]

    def of(self, version: str, fit: str, operator: str) -> tuple[float, float]:
        """Return the ratio, infinite for a width without end, and its error, with that of the training."""
        known = self.versions[version]["ratios"][fit][operator]
        ratio, error = (float("inf"), 0.0) if known is None else known
        spread = self.found["networks"][fit][operator] if version == "network" else 0.0
        return ratio, hypot(error, spread) + 1e-4  # and rounding

    def families(self) -> dict[str, list[str]]:
        result: dict[str, list[str]] = {}
        for name, version in self.versions.items():
            if version["family"]:
                result.setdefault(version["family"], []).append(name)
        return result

    def check(self, alone: str, refined: str) -> None:
        """What holds for every study, whatever its size."""
        families = self.families()
        for key in self.keys:
            for name in self.versions:
                ratio, error = self.of(name, *key)
                assert ratio > 1.0 - 3.0 * error, (
                    f"{name} below the exact likelihood: {key}, {ratio} +- {error}"
                )
            for name, members in families.items():
                for few, many in pairwise(members):
                    (wide, _), (narrow, error) = self.of(few, *key), self.of(many, *key)
                    # bins of equal content in one feature are bins of the coarser ones, cut in two
                    allowed = 1e-4 if name == refined else 2.0 * error
                    assert narrow <= wide + allowed, f"{many} wider than {few}: {key}"
            ratio, error = self.of("network", *key)
            others = [n for n in self.versions if n not in ("network", "exact", "shape only")]
            for name in others:
                wide, more = self.of(name, *key)
                assert ratio < wide + 3.0 * hypot(error, more), f"{name} narrower than the network: {key}"
        finest = families[f"{alone}, optimal"][-1]
        losses = [self.of(finest, TOGETHER, name) for name in self.operators]
        assert all(ratio - 1.0 > 3.0 * error for ratio, error in losses), f"{alone} alone is enough"


@pytest.mark.slow
@pytest.mark.parametrize("example", list(SEES_LITTLE))
def test_small_widths(example: str, program: Callable[[str], ModuleType], tmp_path: Path) -> None:
    make = program("make")
    card = small(make.cards(example)["two"], SMALL[example])
    numbers, figures = make.make(example, {"two": card}, tmp_path)
    widths = Widths(numbers["two"])
    widths.check(*SEES_LITTLE[example])
    for key in widths.keys:
        assert widths.of("network", *key)[0] == pytest.approx(1.0, abs=0.05)
        assert widths.of("score, 8 bins", *key)[0] < 1.15
    for name, figure in figures.items():
        figure.savefig(tmp_path / f"{name}.png")
    assert (tmp_path / "two" / "comparison.json").exists()


@pytest.mark.parametrize(
    ("example", "study"), [("zh", "two"), ("zh", "six"), ("ttbar", "two"), ("ttbar", "four")]
)
def test_committed_widths(example: str, study: str) -> None:
    found = json.loads((EXAMPLES / example / "numbers.json").read_text(encoding="utf-8"))[study]
    widths = Widths(found)
    widths.check(*SEES_LITTLE[example])
    mass = SEES_LITTLE[example][1]
    families = widths.families()
    for key in widths.keys:
        assert widths.of("network", *key)[0] == pytest.approx(1.0, abs=0.02)
        named = [f"{mass}, optimal", f"{mass} x cos_theta_star, optimal"]
        for few, many in pairwise(families[name][-1] for name in named):
            (wide, _), (narrow, error) = widths.of(few, *key), widths.of(many, *key)
            assert narrow <= wide + 2.0 * error, f"{many} wider than {few}: {key}"
        if study == "two":
            assert widths.of("score, 16 bins", *key)[0] < 1.03


class Signs:
    """What a study of the sign of a coefficient found."""

    blind = ("rate", "pT(W)")

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.versions = found["versions"]
        self.at = found["at"]
        self.seeing = [name for name in self.versions if name not in self.blind]

    def check(self) -> None:
        assert {"exact", "network", "Q cos delta+"} <= set(self.seeing)
        for name in self.seeing:
            for fit in (ALONE, TOGETHER):
                own = self.versions[name][fit]
                assert own["mirror"] - 3.0 * own["error"] > 3.84, f"{name} does not know the sign: {fit}"
                assert all(lower is not None and lower > 0 for lower, _ in own["pieces"]), f"{name}, {fit}"
            assert self.versions[name][ALONE]["mirror"] > 25.0
        for name in self.blind:
            one, together = self.versions[name][ALONE], self.versions[name][TOGETHER]
            # the interference cancels in these versions up to the fluctuation of the simulation
            assert one["mirror"] < max(3.0 * one["error"], 0.5), f"{name} knows the sign"
            assert len(one["pieces"]) == 2
            (low, up), (other_low, other_up) = one["pieces"]
            assert low < -self.at < up < 0 < other_low < self.at < other_up
            assert together["mirror"] < 0.5
            assert together["pieces"][0][0] is None or together["pieces"][0][0] < -self.at


@pytest.mark.slow
def test_small_sign(program: Callable[[str], ModuleType], tmp_path: Path) -> None:
    make = program("make")
    schemes = [
        "rate", {"name": "pT(W)", "equal": ["pt_w"], "n": 4},
        {"name": "Q cos delta+", "equal": ["q_cos_delta"], "n": 8},
    ]  # fmt: skip
    full = make.cards("wh_cp_odd")["card"]
    card = small(replace(full, operators=("cHWtil", "cHq3")), schemes, members="none")
    numbers, figures = make.make("wh_cp_odd", {"card": card}, tmp_path)
    Signs(numbers).check()
    figures[""].savefig(tmp_path / "sign.png")


def test_committed_sign() -> None:
    found = json.loads((EXAMPLES / "wh_cp_odd" / "numbers.json").read_text(encoding="utf-8"))
    signs = Signs(found)
    signs.check()
    network = signs.versions["network"]
    for fit in (ALONE, TOGETHER):
        exact = signs.versions["exact"][fit]
        assert network[fit]["mirror"] == pytest.approx(exact["mirror"], rel=0.1)
        assert min(network[fit]["networks"]) > signs.versions["Q cos delta+"][fit]["mirror"]
