"""smeft-unbinned inspect: what is in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pandas as pd
from rich.table import Table
from rich.text import Text

from .. import storage
from ..errors import InputError
from ..fit import FitResult
from ..inputfile import fitting, read_json
from ..lowrank import LowRankReport
from .dataset_options import precision_text
from .fit_report import report
from .options import console, note, print_held_out

_LONG = 12


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the whole manifest as JSON.")
def command(file: Path, as_json: bool) -> None:
    """Show what is in a FILE of this package: events, model, dataset, responses, fit result, other JSON.

    Of files with arrays, the kind, the arrays and the manifest, checksums verified. Of unbinned datasets, how
    they are stored, nuisance parameters and what compression or rounding changed; of responses, how well they
    were learned; of a fit result, its intervals and where it comes from. Runcards are for `validate`.

    \b
    Example: smeft-unbinned inspect zh_14tev.dataset
             smeft-unbinned inspect results/card/fit_result.json
    """
    if file.suffix in (".yaml", ".yml"):
        raise InputError(f"{file} is a card; smeft-unbinned validate {file} checks and shows it")
    if file.suffix == ".json":
        _json(file, as_json)
        return
    arrays, manifest = storage.read(file, None, mapped=True)
    if as_json:
        click.echo(json.dumps(manifest, indent=1, sort_keys=True))
        return
    with fitting(file, str(manifest["kind"])):
        head = f", format {manifest['format']}, checksums verified"
        console.print(Text.assemble((str(manifest["kind"]), "bold"), head), highlight=False)
        if manifest["kind"] == "unbinned dataset":
            table = Table(show_header=False)
            for what, value in dataset_rows(arrays, manifest):
                table.add_row(what, Text(value))
            console.print(table)
        elif manifest["kind"] == "response estimator":
            _responses(manifest)
        for name, array in arrays.items():
            console.print(f"  {name}: {array.dtype} {array.shape}", highlight=False, markup=False)
        _show(manifest, "")


def _json(file: Path, as_json: bool) -> None:
    """Show a fit result, or the keys of another JSON file."""
    content = read_json(file, "JSON file")
    if as_json:
        click.echo(json.dumps(content, indent=1))
    elif isinstance(content, dict) and content.get("kind") == "fit result":
        result = FitResult.load(file)
        report(result, tuple(result.stored_intervals) or (0.68, 0.95))
        _show({"provenance": dict(result.provenance)}, "")
    else:
        _show(content if isinstance(content, dict) else {"content": content}, "")


def dataset_rows(arrays: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what an unbinned dataset is, in words, from the content of its file."""
    n, metadata = len(manifest["operators"]), manifest["metadata"]
    rows = [("events", f"{len(arrays['weights']):,}"), ("storage", _form(arrays, "", n))]
    nuisances = manifest.get("nuisances", [])
    if nuisances and arrays["expected"].ndim == 2:
        text = f"{', '.join(nuisances)}; {len(arrays['expected'])} groups of events stand for the yield"
    else:
        text = ", ".join(nuisances) or "none"
    rows += [("nuisances", text), ("backgrounds", str(len(manifest.get("backgrounds", []))))]
    replicas = next((arrays[k] for k in ("replicas.factors", "replicas.ratios") if k in arrays), None)
    text = "none" if replicas is None else f"{len(replicas)} networks, {_form(arrays, 'replicas.', n)}"
    rows.append(("replicas", text))
    if (record := metadata.get("compression")) is not None:
        rows += _compression(record)
    if (record := metadata.get("low_rank")) is not None:
        rows.append(("low rank", str(LowRankReport(**record))))
    if (record := metadata.get("precision")) is not None:
        rows.append(("precision", precision_text(record)))
    return rows


def _form(arrays: Mapping[str, Any], prefix: str, n: int) -> str:
    if (factors := arrays.get(f"{prefix}factors")) is not None:
        return f"sums of squares of rank {factors.shape[-2]} in {n} operators, {factors.dtype}"
    ratios = arrays[f"{prefix}ratios"]
    return f"dense: {ratios.shape[-1]} coefficients in {n} operators, {ratios.dtype}"


def _compression(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    certificate = record["certificate"]
    at = ", ".join(f"{name} = {value:.4g}" for name, value in certificate["at"].items())
    return [
        ("compression", f"{record['events_before']:,} -> {record['events_after']:,} events"),
        (
            "certificate",
            f"-2 log L changes by {certificate['largest']:.3g} at most where it is up to "
            f"{certificate['rise']:g} above its minimum (tolerance {record['tolerance']:g}), found at {at}; "
            f"{certificate['converged']} of {certificate['starts']} searches converged",
        ),
    ]


def _responses(manifest: Mapping[str, Any]) -> None:
    """Print names and errors of a response estimator."""
    names, metadata = manifest["names"], manifest["metadata"]
    table = pd.DataFrame(metadata["held_out"], columns=["up", "down"], index=names, dtype=float)
    print_held_out(table)
    for text in metadata.get("notes", []):
        note(text)


def _show(content: dict[str, object], indent: str) -> None:
    for key, value in content.items():
        if key in ("checksums", "history"):
            continue
        if isinstance(value, dict) and value:
            console.print(f"{indent}{key}:", highlight=False, markup=False)
            _show(value, indent + "  ")
        else:
            text = (
                ", ".join(map(str, value)) if isinstance(value, list) and len(value) <= _LONG else str(value)
            )
            console.print(f"{indent}{key}: {text[:200]}", highlight=False, markup=False)
