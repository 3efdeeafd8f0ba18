"""smeft-unbinned inspect: what is in a file."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.text import Text

from .. import storage
from .options import console

_LONG = 12


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the whole manifest as JSON.")
def command(file: Path, as_json: bool) -> None:
    """Show the kind, the arrays and the manifest of an events, model or dataset FILE, checksums verified."""
    arrays, manifest = storage.read(file, None)
    if as_json:
        click.echo(json.dumps(manifest, indent=1, sort_keys=True))
        return
    head = f", format {manifest['format']}, checksums verified"
    console.print(Text.assemble((str(manifest["kind"]), "bold"), head), highlight=False)
    for name, array in arrays.items():
        console.print(f"  {name}: {array.dtype} {array.shape}", highlight=False, markup=False)
    _show(manifest, "")


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
