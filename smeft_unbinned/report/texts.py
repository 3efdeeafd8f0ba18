"""Sections that are read rather than looked at: verdicts of diagnostics, and where results come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import yaml

from ..fit import FitResult
from .found import Found
from .markup import details, items, slug, text
from .section import Section

VERDICTS = ("pass", "warn", "fail", "not applicable")
_LONG = 24


def diagnostics(found: Sequence[Found]) -> Iterator[Section]:
    """Yield the verdicts of all checks of estimators."""
    tables: dict[str, tuple[str, pd.DataFrame]] = {}
    blocks = []
    for one in found:
        for place, content in one.diagnostics.items():
            checks = content.get("checks")
            rows = [c for c in checks if isinstance(c, dict)] if isinstance(checks, list) else []
            if not rows:
                continue
            label = one.label if place == "." else f"{one.label}/{place}"
            frame = pd.DataFrame(
                [[str(c.get(k, "")) for k in ("name", "verdict", "sentence")] for c in rows],
                columns=["check", "verdict", "finding"],
            )
            tables[f"diagnostics_{slug(label)}"] = (f"Checks, {label}", frame.set_index("check"))
            lines = "".join(_check(*row) for row in frame.itertuples(index=False, name=None))
            blocks.append(f'<h3>{text(label)}</h3><ul class="checks">{lines}</ul>')
    if blocks:
        lead = "What the checks of the estimators found, and what they advise."
        yield Section("diagnostics", "Diagnostics", lead, tables, interactive=False, body="".join(blocks))


def _check(name: str, verdict: str, sentence: str) -> str:
    kind = slug(verdict) if verdict in VERDICTS[:3] else "none"
    return f'<li><span class="badge {kind}">{text(verdict)}</span> <b>{text(name)}</b>: {text(sentence)}</li>'


def failures(found: Sequence[Found]) -> str:
    """Return a paragraph for every fit of all coefficients that failed, with its messages, as HTML."""
    return "".join(
        f'<p class="failure"><b>{text(one.label)} failed.</b> {text("; ".join(one.result.messages))}</p>'
        for one in found
        if one.result is not None and not one.result.valid
    )


def provenance(found: Sequence[Found]) -> str:
    """Return where every result comes from, as HTML: folder, versions, settings, data, runcard."""
    blocks = []
    for one in found:
        lines = [("folder", str(one.folder))]
        folded = ""
        if one.result is not None:
            own, settings = _settings(one.result)
            lines += own
            folded = details("Settings", _definitions(settings)) + details("Datasets", _datasets(one.result))
            if one.result.runcard is not None:
                card = yaml.safe_dump(dict(one.result.runcard), sort_keys=False, allow_unicode=True)
                pre = f'<pre tabindex="0">{text(card)}</pre>'
                folded += details("Runcard", pre)
        notes = items(one.notes, "notes")
        blocks.append(f"<h3>{text(one.label)}</h3>{_definitions(lines)}{notes}{folded}")
    return "".join(blocks)


def _settings(result: FitResult) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return what every fit has, and everything else that its provenance holds, short values only."""
    known = dict(result.provenance)
    first = [("method", result.method), ("basis", str(known.pop("basis", "unknown")))]
    versions = known.pop("versions", {})
    if isinstance(versions, Mapping):
        first.append(("versions", ", ".join(f"{k} {v}" for k, v in versions.items())))
    if "seed" in known:
        first.append(("seed", str(known.pop("seed"))))
    known.pop("datasets", None)
    rest = []
    for key, value in known.items():
        shown = json.dumps(value, default=str)
        if len(shown) > 600:
            size = len(value) if isinstance(value, (Mapping, list, tuple)) else len(shown)
            shown = f"{size} entries, see fit_result.json"
        rest.append((str(key), shown))
    return first, rest


def _definitions(lines: Sequence[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{text(k)}</dt><dd>{text(v)}</dd>" for k, v in lines)
    return f"<dl>{rows}</dl>" if rows else ""


def _datasets(result: FitResult) -> str:
    data = result.provenance.get("datasets", {})
    if not isinstance(data, Mapping):
        return ""
    lines = []
    for name, entry in data.items():
        sums = entry.get("checksums", {}) if isinstance(entry, Mapping) else {}
        shown = ", ".join(f"{k} {str(v)[:12]}" for k, v in list(sums.items())[:_LONG])
        lines.append((str(name), f"SHA-256 {shown}" if shown else "no checksums"))
    return _definitions(lines)
