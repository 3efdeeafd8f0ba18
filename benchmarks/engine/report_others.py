"""Sections of the report for what programs of their own measured: compression, and nuisance parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from report_sections import table

COMPRESSION = """## Compressed datasets

A dataset with fewer, weighted events whose -2 log L is certified to be the same; best fit and 95 % limits
before and after, differences relative to the width of the interval. Asked is a hundred times fewer events for
Asimov data, a change of -2 log L below 0.05 and of the fits below a thousandth of the width.

"""
NUISANCES = """## Limits with nuisance parameters

Profiled limits in the presence of nuisance parameters: by `minimise` over all parameters, over the likelihood
profiled at every point, and by a search that only compares values of -2 log L.

"""


def compression(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the results of compression.py."""
    head = [
        "pp → ZH", "events", "after", "times fewer", "largest change of -2 log L", "best fit / width",
        "limits / width", "compression, s", "fit, s", "reached?",
    ]  # fmt: skip
    rows = []
    for r in found:
        fit = r["fit_seconds"]
        rows.append(
            [
                f"{r['coefficients']} coefficients, {r['data']}",
                f"{r['events_before']:,}",
                f"{r['events_after']:,}",
                f"{r['factor']:.0f}",
                f"{r['certificate']['largest']:.2g}",
                f"{r['shift_of_best_fit']:.1g}",
                f"{r['shift_of_limits']:.1g}",
                f"{r['compression_seconds']:.0f}",
                f"{fit['before']:.2f} → {fit['after']:.2f}",
                "yes" if r["passes"] else "**no**",
            ]
        )
    return COMPRESSION + table(head, rows)


def nuisances(found: Mapping[str, Any]) -> str:
    """Return the results of nuisances.py."""
    head = [
        "events", "coefficient", "by derivatives", "by brute force", "difference of the ends / width",
        "profiled - joint / width", "width / without nuisances",
    ]  # fmt: skip
    rows, notes = [], []
    for case, result in found.items():
        for limit in result["limits"]:
            rows.append(
                [
                    case,
                    f"{limit['coefficient']}, {100 * limit['level']:.0f} %",
                    *(f"[{limit[k][0]:.4f}, {limit[k][1]:.4f}]" for k in ("joint", "force")),
                    f"{limit['difference of the ends / width']:.1g}",
                    f"{limit['profiled - joint / width']:.1g}",
                    f"{limit['width / without nuisances']:.3f}",
                ]
            )
        times = ", ".join(f"{k} {s:.1f} s" for k, s in result["seconds"].items())
        notes.append(f"- {case}: {result['events']:,} events; {times}")
        notes += [f"- {case}: {note}" for note in result.get("messages", [])]
    return NUISANCES + table(head, rows) + "\n" + "\n".join(notes) + "\n"
