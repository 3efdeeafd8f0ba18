"""smeft-unbinned fitters: which programs take datasets, and how."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from ..errors import InputError, nearest
from ..fitters import Fitter, fitters


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--file", default="measurement.dataset", show_default=True, help="Dataset in the snippets.")
@click.option("--json", "as_json", is_flag=True, help="Print a list for scripts.")
def command(names: tuple[str, ...], file: str, as_json: bool) -> None:
    """List the fitters that take unbinned datasets, or show those named with a snippet to paste.

    Adapters of other packages are listed too: they register in the entry-point group smeft_unbinned.fitters.

    \b
    Example: smeft-unbinned fitters
             smeft-unbinned fitters cobaya --file zh.dataset
    """
    known = {fitter.name: fitter for fitter in fitters()}
    for name in names:
        if name not in known:
            raise InputError(
                f"no adapter for a fitter {name!r} is installed; known are {', '.join(known) or 'none'}."
                + nearest(name, known)
            )
    chosen = [known[name] for name in names] or list(known.values())
    if as_json:
        shown = [
            {**asdict(f), "snippet": f.with_file(file), "version": f.version, "works": f.works}
            for f in chosen
        ]
        click.echo(json.dumps(shown, indent=1))
        return
    for fitter in chosen:
        click.echo(f"{fitter.name:10s} {_state(fitter):38s} {fitter.title}")
        if names:
            click.echo(f"\ninstall: {fitter.install}\nmore:    {fitter.page}\n\n{fitter.with_file(file)}")
    if not names and chosen:
        click.echo("\nA snippet to paste: smeft-unbinned fitters NAME")


def _state(fitter: Fitter) -> str:
    if fitter.version is None:
        return "not installed"
    return f"{fitter.package} {fitter.version}" + ("" if fitter.works else f", needs {fitter.versions}")
