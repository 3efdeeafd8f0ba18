"""The page: one HTML file that needs nothing else, and whose only script is its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import PurePosixPath
from string import Template
from typing import Any

from ..version import __version__
from .found import ALONE, PAIRED, Found
from .markup import details, items, paragraphs, table, text
from .payload import as_json
from .recomputed import Recomputed
from .section import Section
from .texts import provenance
from .words import counted, summary


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """Return what a content security policy calls a script or style sheet by."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() + "'"


def page(
    title: str,
    found: Sequence[Found],
    again: Mapping[str, Recomputed],
    parts: Sequence[Section],
    data: Mapping[str, Any],
    written: Mapping[str, Sequence[str]],
    messages: Sequence[str],
) -> str:
    """Return the HTML of the whole report.

    data: what the script draws. written: by name of a figure or table, paths of its files relative to the
    page. messages: what the reader should know about the report itself. The policy in the head allows the
    script and the style sheet of the page by their hashes and nothing else, no network at all.
    """
    script = f'\n"use strict";\n(() => {{\n{_asset("charts.js")}{_asset("page.js")}}})();\n'
    style = _asset("page.css")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; "
        "form-action 'none'"
    )
    links = "".join(f'<li><a href="#{p.key}">{text(p.title)}</a></li>' for p in parts)
    return Template(_asset("template.html")).substitute(
        title=text(title),
        policy=text(policy),
        style=style,
        script=script,
        version=text(__version__),
        links=links,
        overview=_overview(found, again) + items(messages, "notes"),
        sections="".join(_section(part, written) for part in parts),
        provenance=provenance(found),
        data=as_json(data),
    )


def _overview(found: Sequence[Found], again: Mapping[str, Recomputed]) -> str:
    return f'<div class="cards">{"".join(_card(one, again[one.label]) for one in found)}</div>'


def _card(one: Found, again: Recomputed) -> str:
    """Return the summary of a folder: a verdict, sentences, and the messages of the fit."""
    result = one.result
    sentences = summary(one, again)
    if result is None:
        badge = '<span class="badge none">no fit</span>'
        kinds = {
            "scan": one.scans, "contour": one.contours, "trained model": one.trainings,
            "report of diagnostics": one.diagnostics, "comparison": one.comparisons,
        }  # fmt: skip
        has = [counted(len(v), k) for k, v in kinds.items() if v]
        sentences += [f"The folder holds {', '.join(has)}."] if has else []
        if how := [name for name, fits in ((ALONE, one.alone), (PAIRED, one.pairs)) if fits]:
            bad = not all(r.valid for r in (*one.alone.values(), *one.pairs.values()))
            badge = f'<span class="badge {"fail" if bad else "pass"}">{" and ".join(how)}</span>'
    elif result.valid:
        badge = '<span class="badge pass">converged</span>'
    else:
        badge = '<span class="badge fail">failed</span>'
    told = [*(result.messages if result is not None else ()), *again.notes]
    failed = "" if result is None or result.valid else " failed"
    return (
        f'<article class="card{failed}"><h3>{text(one.label)} {badge}</h3>'
        f"{paragraphs(sentences[:2])}{items(sentences[2:], 'facts')}{items(told, 'notes')}</article>"
    )


def _section(part: Section, written: Mapping[str, Sequence[str]]) -> str:
    chart = f'<figure class="chart" data-chart="{part.key}"></figure>' if part.interactive else ""
    tables = "".join(
        details(caption, table(frame, caption) + _links(written, [(stem, "")]))
        for stem, (caption, frame) in part.tables.items()
    )
    listed = [(stem, caption) for stem, (caption, _) in part.drawings.items()]
    listed += [(stem, stem) for stem in part.whole if stem not in part.drawings]
    return (
        f'<section id="{part.key}"><h2>{text(part.title)}</h2><p class="lead">{text(part.lead)}</p>'
        f"{part.body}{chart}{tables}{_links(written, listed)}</section>"
    )


def _links(written: Mapping[str, Sequence[str]], listed: Sequence[tuple[str, str]]) -> str:
    """Return links to the files of figures and tables."""
    rows = []
    for stem, caption in listed:
        own = "".join(
            f' <a href="{text(_address(path))}">{text(path.rsplit(".", 1)[-1].upper())}</a>'
            for path in written.get(stem, ())
        )
        if own:
            rows.append(f"<li>{text(caption)}{own}</li>")
    return f'<ul class="files" aria-label="Files">{"".join(rows)}</ul>' if rows else ""


def _address(path: str) -> str:
    """Return a relative path as the address of a link."""
    return PurePosixPath("/", path).as_uri().removeprefix("file:///")
