"""Sections of the report beyond the table of methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from goals import deviations, loader_factor, ml4eft_networks, per_network
from tables import fixed, number, spread_ratio
from tables import table as markdown

Row = Mapping[str, Any]

METHODS = """A method is a loss with its default head and network unless a name says more; settings are the
defaults, see `TrainSettings`. derivative is the default method, with ten replicas; the others have fewer,
which costs some accuracy and saves time. Separate samples hold as many events in all as the others learn
from, without any truth, drawn from three times as many weighted events. The error of log r is its weighted
mean squared error over the variance of the exact log r between events, mean over the eight points.
The logarithm of the toy's only coefficient is a parabola in x, which the growth that labels are divided by is
fitted to: there the default starts at the answer, and methods that see labels through ratios do not come
as close. The squared errors of ROLR and RASCAL in r itself are ruled by the largest ratios, and grow with the
number of coefficients sooner than cross-entropies do; the single replica of six coefficients shows it.
"""


def peers(results: Mapping[str, Row]) -> str:
    """Return the comparison with ML4EFT and MadMiner on the same events."""
    default = results.get("ours_default", {"failed": "not run"})
    parts = [
        "The same weighted events for all, or separate samples drawn from such events; see "
        "`benchmarks/peers`. Times are CPU seconds of the trainings alone, one thread. ML4EFT's loading of "
        f"data is batched here, which gives the same networks; its own takes "
        f"{number(loader_factor(results))} times as long.\n"
    ]
    terms = {} if "failed" in default else {row["term"]: row for row in default["terms"]}
    theirs = ml4eft_networks(results)
    if "failed" not in default:
        parts.append(_networks(results, default, terms, theirs))
    parts += [_log_r(results), _scores(results), _ratios(results, theirs)]
    failed = [f"- Not measured: {name}: {row['failed']}" for name, row in results.items() if "failed" in row]
    return "\n".join([*filter(None, parts), *failed]) + ("\n" if failed else "")


def _networks(
    results: Mapping[str, Row], default: Row, terms: Mapping[str, Row], theirs: Mapping[str, Row]
) -> str:
    body = []
    for term, row in terms.items():
        single, other = results.get(f"ours_{term}", {}), theirs.get(term, {})
        ratio = other["cpu"] / single["cpu"] if "cpu" in other and "cpu" in single else None
        body.append(
            [
                term, fixed(row["r2"]), number(per_network(default)), fixed(single.get("r2")),
                number(single.get("cpu")), fixed(other.get("r2")), number(other.get("cpu")), number(ratio),
            ]
        )  # fmt: skip
    head = [
        "coefficient", "R²: default", "CPU s per (replica, coefficient)", "R²: ours, single network", "CPU s",
        "R²: ML4EFT", "CPU s", "ML4EFT/single",
    ]  # fmt: skip
    text = (
        "Ours, single network: like for like, cross-entropy (loss `decomposed`) with one network for one "
        "coefficient, on ML4EFT's own separate samples.\n"
    )
    return markdown(head, body) + "\n" + text


def _log_r(results: Mapping[str, Row]) -> str:
    names = {
        "ours_default": "ours, default", "ours_short": "ours, default with one replica, 6 epochs",
        "ours_alices": "ours, ALICES, one replica",
        "ml4eft": "ML4EFT, all terms",
        "madminer_alice": "MadMiner, ALICE", "madminer_alices": "MadMiner, ALICES",
    }  # fmt: skip
    found = {title: results[key] for key, title in names.items() if "mse" in results.get(key, {})}
    if not found:
        return ""
    operators = [entry["operator"] for entry in next(iter(found.values()))["intervals"]]
    body = []
    for title, row in found.items():
        cells = [
            f"{fixed(e['width_ratio'])}, {fixed(e['shift'], 3, True)} ({fixed(e['shift_sigma'], 2, True)})"
            for e in row["intervals"]
        ]
        cpu = row.get("cpu")
        if title.startswith("ML4EFT"):
            cpu = sum(r["cpu"] for r in ml4eft_networks(results).values())
        log = [number(row["mean_mse"], 2), number(max(row["mse"]), 2), f"{row['non_positive']:,}"]
        body.append([title, number(cpu), *log, *cells])
    head = ["estimator", "CPU s", "MSE/var of log r, mean", "largest", "r ≤ 0"]
    text = (
        "Widths of 95 % intervals over exact ones, shifts in exact half-widths and in brackets in 68 % "
        "half-widths, for Asimov data of 10,000 events made of the test events. MadMiner's ratios are of "
        "normalised densities and are multiplied by the exact σ(c)/σ(0).\n"
    )
    return markdown([*head, *(f"{o}: width, shift (σ)" for o in operators)], body) + "\n" + text


def _scores(results: Mapping[str, Row]) -> str:
    names = {
        "ours_default": "ours, default",
        "ours_sally": "ours, SALLY, one replica",
        "madminer_sally": "MadMiner, SALLY",
    }
    found = {title: results[key] for key, title in names.items() if "score_r2" in results.get(key, {})}
    if not found:
        return ""
    operators = list(next(iter(found.values()))["score_r2"])
    body = [[t, number(r["cpu"]), *(fixed(r["score_r2"][o]) for o in operators)] for t, r in found.items()]
    return markdown(["score at the SM", "CPU s", *(f"R²: {o}" for o in operators)], body)


def _ratios(results: Mapping[str, Row], theirs: Mapping[str, Row]) -> str:
    lines = []
    default, alices = results.get("ours_default", {}), results.get("ours_alices", {})
    if "cpu" in default and theirs:
        mean = float(np.mean([row["cpu"] for row in theirs.values()]))
        own = per_network(default)
        lines.append(
            f"A network of ML4EFT takes {number(mean)} CPU s on average over {len(theirs)}, one replica of "
            f"one coefficient of the default {number(own)}: a factor {number(mean / own)}."
        )
    madminer = results.get("madminer_alices", {})
    if "cpu" in default and "cpu" in madminer:
        lines.append(
            f"MadMiner's ALICES takes {number(madminer['cpu'])} CPU s, the whole default with "
            f"{default['replicas']} replicas {number(default['cpu'])} (a factor "
            f"{number(madminer['cpu'] / default['cpu'])})"
            + (
                f", our ALICES with one replica {number(alices['cpu'])} (a factor "
                f"{number(madminer['cpu'] / alices['cpu'])})."
                if "cpu" in alices
                else "."
            )
        )
    return "\n".join(f"- {line}" for line in lines) + ("\n" if lines else "")


def ensemble(results: Mapping[str, Row]) -> str:
    """Return cost and accuracy of the large ensemble."""
    body, notes = [], []
    for name, row in results.items():
        if "failed" in row:
            notes.append(f"- Not measured: {name}: {row['failed']}")
            continue
        intervals = {n: [e for e in row["intervals"] if e["expected"] == n] for n in (1000, 10_000)}
        cells = []
        for found in intervals.values():
            widths = [e["width_ratio"] for e in found if e["width_ratio"] is not None]
            shifts = [e["shift"] for e in found if e["shift"] is not None]
            cells += [fixed(max(widths, key=lambda w: abs(w - 1), default=None))]
            cells += [fixed(max(shifts, key=abs, default=None), 3, True)]
        body.append(
            [
                row["device"], str(row["replicas"]), str(row["coefficient_count"]), str(row["epochs"]),
                number(row["cpu"]), number(row["wall"]), number(per_network(row)),
                number(row["log_r"]["mean_mse"], 2),
                *cells,
            ]
        )  # fmt: skip
    head = [
        "device", "replicas", "coefficients", "epochs", "CPU s", "wall s", "CPU s per (replica, coefficient)",
        "MSE/var of log r, mean", "width at 1,000", "shift", "width at 10,000", "shift",
    ]  # fmt: skip
    text = "pp → ZH with six coefficients; the width and shift that are farthest from exact, as above.\n"
    return "\n".join([text, markdown(head, body), *notes])


def smeared(result: Row) -> str:
    """Return what fractional smearing does to networks behind a detector."""
    ratios = spread_ratio(result)
    names, options = result["coefficients"], list(result["learned"])
    body = []
    for i, name in enumerate(names):
        cells = []
        for option in options:
            runs = result["learned"][option]
            errors = np.array([run["cell_error"][i] for run in runs], dtype=float)
            cells.append(f"{number(float(errors.mean()), 2)} ± {number(float(errors.std(ddof=1)), 2)}")
        labels = [float(np.mean([run["label_mse"][i] for run in result["learned"][o]])) for o in options]
        body.append([name, *cells, fixed(labels[1] / labels[0], 4), number(ratios[name])])
    head = [
        "coefficient", *(f"error in cells, {option}" for option in options), "ratio of label MSE",
        "variance between seeds, once over fractional",
    ]  # fmt: skip
    cost = [
        f"{number(float(np.mean([run['cpu'] for run in result['learned'][o]])))} CPU s and "
        f"{number(int(np.mean([run['rows'] for run in result['learned'][o]])))} rows with {o}"
        for o in options
    ]
    better = [name for name in names if ratios[name] > 1.0]
    text = (
        f"pp → ZH through the detector `ZH_DETECTOR`; {result['events']:,} events to train on, one replica, "
        f"{result['seeds']} seeds, each with a sample of its own, the same for both options. Fractional "
        f"smearing repeats the outlying percent of events {result['copies']} times. What is learned is "
        f"E[R(z)|x]; the reference are the labels of {result['reference']:,} other events, averaged in cells "
        "of pT, mass and lepton angle. Error in cells: squared difference of network and reference there "
        "over the variance of the reference between cells, the reference's own statistical error subtracted, "
        "mean and spread over seeds. Ratio of label MSE: error of the network against single labels, "
        "fractional over once.\n"
    )
    last = (
        f"- On average {'; '.join(cost)}.\n- Fractional smearing lowers the variance between seeds for "
        f"{', '.join(better) or 'no coefficient'}.\n"
    )
    picture = "![Learned over true mean coefficients in bins of pT](figures/smeared.png)\n"
    return "\n".join([text, markdown(head, body), picture, last])


def coverage(results: Sequence[Row]) -> str:
    """Return how often the regions contain the truth."""
    first = results[0]
    parts = [
        f"{first['toys']} toys at each point, drawn from {first['pool']:,} weighted events with the exact "
        f"rate; the default method on pp → ZH with two coefficients, {first['replicas']} replicas trained on "
        f"{first['events']:,} other events. Profile likelihood of each coefficient, and both together, with "
        "the thresholds of Wilks' theorem; the same toys are fitted with the exact ratio. Errors are "
        "binomial.\n",
        "![Coverage of network and exact ratio](figures/methods_coverage.png)\n",
    ]
    for result in results:
        rows = {(r["point"], r["region"], r["level"], r["likelihood"]): r for r in result["coverage"]}
        keys = list(dict.fromkeys((p, region) for p, region, _, _ in rows))
        body = [
            [
                p,
                region,
                *(_share(rows.get((p, region, lv, k))) for lv in (0.68, 0.95) for k in ("estimate", "exact")),
            ]
            for p, region in keys
        ]
        head = ["point", "region", "68 %: network", "68 %: exact", "95 %: network", "95 %: exact"]
        parts += [f"### {result['expected']:,} expected events\n", markdown(head, body), _judged(result)]
    return "\n".join(parts)


def _share(row: Row | None) -> str:
    if row is None or row["coverage"] is None:
        return "–"
    return f"{row['coverage']:.1%} ± {0.5 * (row['upper'] - row['lower']):.1%}"


def _judged(result: Row) -> str:
    lines = []
    for kind, title in (("estimate", "network"), ("exact", "exact ratio")):
        found = deviations(result, kind)
        if found:
            far, row = max(found, key=lambda pair: abs(pair[0]))
            lines.append(
                f"- Farthest from nominal, {title}: {row['region']} at {row['point']}, "
                f"{row['coverage']:.1%} for {row['level']:.0%}, {far:+.1f} binomial standard deviations."
            )
    lost = result["numbers"].get("not_converged", 0)
    lines.append(f"- {lost} toys did not converge and are not counted.")
    return "\n".join(lines) + "\n"
