"""The command line `smeft-unbinned`: one thin file per subcommand, each calls the API of the same name."""

from __future__ import annotations

import errno
import importlib
from typing import Any

import click

from ..errors import InputError
from ..version import __version__
from .common import finish, with_common
from .interrupt import interrupted, terminable

COMMANDS = (
    "demo", "init", "validate", "generate", "events", "train", "responses", "diagnose", "export", "compress",
    "project", "running", "fit", "scan", "chi2", "fisher", "coverage", "compare", "report", "onnx", "inspect",
    "fitters", "smefit", "completion",
)  # fmt: skip


class UserError(click.ClickException):
    """An InputError on its way to the terminal."""

    exit_code = 2


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is called, so that `fit` never loads torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name}", __name__)
        return with_common(module.command)

    def invoke(self, ctx: click.Context) -> Any:
        problem = None
        try:
            with terminable():
                return super().invoke(ctx)
        except InputError as error:
            problem = str(error)
            raise UserError(problem) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever read the output has ended: nothing to tell
                raise
            problem = f"the system refused something: {error}; see to it, and call again"
            raise UserError(problem) from error
        except KeyboardInterrupt as error:
            ended = interrupted(ctx, error)
            problem = ended.message
            raise ended from error
        finally:
            finish(ctx, problem)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="smeft-unbinned")
def main() -> None:
    """Unbinned, machine-learned measurements as dataset entries of global SMEFT fits.

    \b
    The way of the data:
      init                 a commented runcard to start from
      validate             check a runcard and all that it points to, without a fit
      generate | events    simulated events with truth polynomials
      train                events -> estimator of the ratio coefficients
      responses            events with shifted weights -> how they respond to nuisance parameters
      diagnose             can the estimator be trusted? a verdict per check
      export               estimator + observed events -> unbinned dataset, one file
      compress             unbinned dataset -> the same with fewer events, certified
      project              binned datasets -> the same at another luminosity, as SMEFiT projects them
      running              matrices of running coefficients, computed once for a runcard
      fit                  runcard with binned and unbinned datasets -> intervals or posterior
      scan                 profiles of -2 log L, and contours of two coefficients
      chi2                 how well a point, or a fit, describes each dataset
      fisher               which dataset constrains which coefficient, principal components
      coverage             how often the intervals of a fit contain the truth, in toys
      compare              exact, network and binned intervals from the same events
      report               one page about the results of fits, with figures and tables
      onnx                 estimator -> ONNX graph for other programs
      inspect              what is in a file
      fitters              programs that take datasets in their fits, with what to paste there
      smefit               a fit of a runcard by SMEFiT, unbinned datasets included
      completion           names and options completed by the Tab key of your shell

    Start with `smeft-unbinned demo`. Coefficients are c/Lambda^2 in TeV^-2 everywhere.
    Every command takes --json, which prints what it tells for scripts, and -v, which logs what happens.
    Exit codes: 0 done; 1 done, and a check failed or a fit did not converge; 2 bad input, one line says what
    to do; 130 interrupted or 143 terminated, what is kept is named.
    """
