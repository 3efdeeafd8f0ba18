"""What SMEFiT's own translation to and from the Warsaw basis makes of a point; runs where it is installed."""

from __future__ import annotations

import warnings

import numpy as np


def tables() -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Return SMEFiT's two tables, {its operator: {Warsaw entry: number}}: operators, and coefficients."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from smefit.rge import wcxf

    texts = {"-gs": -float(wcxf.gs), "-1/gs": -1.0 / float(wcxf.gs)}

    def numbers(table: dict, key: str) -> dict[str, dict[str, float]]:
        return {
            name: {
                entry: float(texts.get(x, x))
                for entry, x in zip(row["wc"], row.get(key, [1.0] * len(row["wc"])), strict=True)
            }
            for name, row in table.items()
        }

    return numbers(wcxf.wcxf_translate, "value"), numbers(wcxf.inverse_wcxf_translate, "coeff")


def point(seed: int = 20240301) -> dict[str, float]:
    """Return random values of all of SMEFiT's coefficients, in the order of their names."""
    names = sorted(tables()[0])
    return dict(zip(names, np.random.default_rng(seed).normal(size=len(names)).tolist(), strict=True))


def forward(c: dict[str, float]) -> dict[str, float]:
    """Return the Warsaw entries of a point in SMEFiT's coefficients, the same unit."""
    out: dict[str, float] = {}
    for name, row in tables()[0].items():
        for entry, x in row.items():
            out[entry] = out.get(entry, 0.0) + x * c[name]
    return out


def backward(values: dict[str, float]) -> dict[str, float]:
    """Return SMEFiT's coefficients of a point in Warsaw entries, the same unit."""
    return {n: sum(x * values[e] for e, x in row.items()) for n, row in tables()[1].items()}
