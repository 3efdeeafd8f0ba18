"""Options that take several names: commas separate them, except inside brackets."""

from __future__ import annotations

import click
import pytest

from smeft_unbinned import InputError
from smeft_unbinned.cli.options import names

OPTION = click.Option(["--observables"])
CONTEXT = click.Context(click.Command("events"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cHW,cHq3", ("cHW", "cHq3")),
        (" cHW , cHq3,", ("cHW", "cHq3")),
        ("pt[h],delta_phi[j1,j2],met", ("pt[h]", "delta_phi[j1,j2]", "met")),
        ("dphi=delta_phi[j1,j2],Jet_pt[0]", ("dphi=delta_phi[j1,j2]", "Jet_pt[0]")),
        (None, None),
    ],
)
def test_names(text: str | None, expected: tuple[str, ...] | None) -> None:
    assert names(CONTEXT, OPTION, text) == expected


def test_no_name_is_refused() -> None:
    with pytest.raises(InputError, match="--observables names nothing"):
        names(CONTEXT, OPTION, " , ")
