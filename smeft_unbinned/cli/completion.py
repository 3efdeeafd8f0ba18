"""smeft-unbinned completion: the Tab key completes commands, options and files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = {
    "bash": 'eval "$(smeft-unbinned completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(smeft-unbinned completion zsh)"    # in ~/.zshrc',
    "fish": "smeft-unbinned completion fish | source   # in ~/.config/fish/config.fish",
}
_PROGRAM, _VARIABLE = "smeft-unbinned", "_SMEFT_UNBINNED_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options and files.

    \b
    Example: eval "$(smeft-unbinned completion bash)"                 in ~/.bashrc
             eval "$(smeft-unbinned completion zsh)"                  in ~/.zshrc
             smeft-unbinned completion fish | source                  in ~/.config/fish/config.fish
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.find_root().command, {}, _PROGRAM, _VARIABLE).source())
