"""The command line as a shell would call it."""

from __future__ import annotations

from click.testing import CliRunner, Result

from smeft_unbinned.cli import main


def run(*arguments: object) -> Result:
    """Call, whatever comes."""
    return CliRunner().invoke(main, [str(a) for a in arguments])


def refuse(*arguments: object) -> str:
    """Call, expect exit code 2 and a plain message, return it on one line."""
    result = run(*arguments)
    assert result.exit_code == 2, (result.exit_code, result.output, result.exception)
    assert "Traceback" not in result.output
    return " ".join(result.output.split())
