"""What the package cannot do: run what a file says, start programs, or use the network."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from smeft_unbinned import PoissonDataset, Polynomial

ROOT = Path(__file__).parents[2]
MODULES = sorted(p for package in ("smeft_unbinned", "plugins") for p in (ROOT / package).rglob("*.py"))
MODULES_REFUSED = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "code", "codeop",
    "runpy", "imp", "subprocess", "multiprocessing", "pty", "ctypes", "cffi", "socket", "socketserver", "ssl",
    "asyncio", "http", "urllib", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "poplib", "imaplib",
    "telnetlib", "xmlrpc", "webbrowser", "paramiko",
}  # fmt: skip
BUILTINS_REFUSED = {"eval", "exec", "compile", "__import__", "execfile", "breakpoint"}
ATTRIBUTES_REFUSED = {
    "os.system", "os.popen", "os.fork", "os.execv", "os.execvp", "os.spawnv", "os.posix_spawn",
    "os.startfile", "np.load", "numpy.load", "torch.load", "torch.save", "torch.hub",
    "pd.read_pickle", "pandas.read_pickle", "pd.eval", "yaml.load_all", "yaml.unsafe_load",
    "yaml.full_load", "pd.read_html", "builtins.eval",
}  # fmt: skip
ALLOWED = {
    "smeft_unbinned/cli/smefit.py": "imports subprocess",  # its purpose: SMEFiT on a card, by a list of words
    "smeft_unbinned/cli/train.py": "imports multiprocessing",  # trains in processes of its own
    "smeft_unbinned/testing.py": "imports multiprocessing.reduction",  # copies an adapter as MPI would
}
"""What single modules do all the same, none of them with what a file says."""
KEYWORDS_REFUSED = {"allow_pickle", "weights_only", "shell"}
SAFE_LOADERS = {"_Loader"}
"""Loaders of YAML that are made of yaml.SafeLoader."""


def offences(tree: ast.AST) -> list[str]:
    """Return what a module must not do, with the lines."""
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        found += [f"{node.lineno}: imports {n}" for n in names if n.split(".")[0] in MODULES_REFUSED]
        if isinstance(node, ast.Name) and node.id in BUILTINS_REFUSED:
            found.append(f"{node.lineno}: uses {node.id}")
        if isinstance(node, ast.Attribute) and (text := ast.unparse(node)) in ATTRIBUTES_REFUSED:
            found.append(f"{node.lineno}: uses {text}")
        if isinstance(node, ast.Call):
            found += [f"{node.lineno}: passes {k.arg}" for k in node.keywords if k.arg in KEYWORDS_REFUSED]
            if ast.unparse(node.func) == "yaml.load":
                loaders = {ast.unparse(k.value) for k in node.keywords if k.arg == "Loader"}
                found += [] if loaders and loaders <= SAFE_LOADERS else [f"{node.lineno}: loads any YAML"]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_runs_no_code_of_others(path: Path) -> None:
    found = [text.split(": ", 1)[1] for text in offences(ast.parse(path.read_text(encoding="utf-8")))]
    allowed = ALLOWED.get(str(path.relative_to(ROOT)))
    assert found == ([allowed] if allowed else [])


@pytest.mark.parametrize(
    "text",
    [
        "import pickle", "from pickle import loads", "import urllib.request", "eval('1')", "f = exec",
        "compile('1', '', 'eval')", "import numpy as np\nnp.load('x')", "f(allow_pickle=True)",
        "os.system('ls')", "yaml.load(x)", "yaml.load(x, Loader=yaml.Loader)", "import subprocess as s",
        "run(shell=True)",
    ],
)  # fmt: skip
def test_offences_are_found(text: str) -> None:
    assert offences(ast.parse(text))


WATCHED = """
import sys, json
from pathlib import Path

import smeft_unbinned.cli  # what is imported may compile and start what it likes
from smeft_unbinned import FitResult, Runcard
from smeft_unbinned.fit.methods import fit
folder, method = Path(sys.argv[1]), sys.argv[2]
seen, own, on = [], str(folder), False

def watch(event, arguments):
    if not on:
        return
    kind = event.split(".")[0]
    if kind in ("socket", "ftplib", "urllib", "http", "smtplib") or event in (
        "pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen",
        "os.fork", "os.forkpty", "pty.spawn", "webbrowser.open",
    ):
        seen.append([event, repr(arguments)[:200]])
    if event == "compile" and (own in str(arguments[1]) or "hostile" in str(arguments[0])):
        seen.append([event, repr(arguments)[:200]])
    if event == "exec" and own in getattr(arguments[0], "co_filename", ""):
        seen.append([event, repr(arguments)[:200]])
    if event == "import" and "hostile" in str(arguments[0]):
        seen.append([event, repr(arguments)[:200]])

sys.addaudithook(watch)
on = True
card = Runcard.load(folder / "card.yaml")
likelihood = card.likelihood()
result = fit(likelihood, method).with_runcard(card)
result.save(folder / "result.json")
FitResult.load(folder / "result.json").table(())
on = False
print(json.dumps(seen))
"""


@pytest.mark.parametrize("method", ["minuit", "laplace", "linear"])
def test_a_fit_opens_no_connection_and_runs_nothing(
    tmp_path: Path, method: str, tally: Callable[[str, int], None]
) -> None:
    bins = np.array([[20.0, 1.0, 0.0], [30.0, 2.0, 0.0]])
    if method != "linear":
        bins[:, 2] = 0.5
        PoissonDataset(
            "hostile.__import__('os')",
            Polynomial(["OpW"], bins),
            basis="smefit",
            metadata={"x": "eval('hostile')"},
        ).save(tmp_path / "p.dataset")
    binned = [] if method != "linear" else ["ZH_14TeV_STXS"]
    exported = [] if method == "linear" else [{"name": "hostile; import os", "poisson": "p.dataset"}]
    card = {
        "datasets": [*binned, *exported],
        "coefficients": {"OpW" if method != "linear" else "OpB": {"min": -1, "max": 1}},
        "use_quad": method != "linear",
        "Model name": "hostile.run()",
    }
    (tmp_path / "card.yaml").write_text(json.dumps(card))
    (tmp_path / "hostile.py").write_text("raise SystemExit('this ran')\n")
    command = [sys.executable, "-c", WATCHED, str(tmp_path), method]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    tally("fits watched for connections and programs", 1)


def test_what_the_watch_would_see(tmp_path: Path) -> None:
    """The watch sees a connection and a pickle, so that seeing none means something."""
    text = WATCHED.split("card = Runcard.load")[0] + (
        "import pickle, socket\n"
        "pickle.loads(b'cbuiltins\\nlen\\n.')\n"
        "s = socket.socket()\ns.close()\n"
        "exec(compile('1', str(folder / 'x.py'), 'exec'))\n"
        "on = False\nprint(json.dumps([event for event, _ in seen]))\n"
    )
    command = [sys.executable, "-c", text, str(tmp_path), "none"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert {"pickle.find_class", "socket.__new__", "compile", "exec"} <= {
        *json.loads(done.stdout.splitlines()[-1])
    }
