"""What holds for every file of the project: no paths of a machine, no unsafe calls, documented, short."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import smeft_unbinned

ROOT = Path(__file__).parents[1]
PACKAGES = ("smeft_unbinned", "plugins", "theory_tables")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAX_LINES = 400
FORBIDDEN_IMPORTS = {"pickle", "dill", "joblib", "shelve", "marshal", "requests", "urllib", "socket", "http"}
FORBIDDEN_CALLS = {"eval", "exec", "__import__"}
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|tmp|root|home)" + "/")
MERGE_MARKER = re.compile(r"(?m)^(?:<{7}|>{7}) ")


def project_files() -> list[Path]:
    """Return every text file of the checkout that git does not ignore."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs a git checkout")
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    paths = [ROOT / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_text_files_are_clean() -> None:
    problems = []
    for path in project_files():
        text = path.read_text(encoding="utf-8")
        if MACHINE_PATH.search(text):
            problems.append(f"{name(path)}: holds the path of a machine")
        if MERGE_MARKER.search(text):
            problems.append(f"{name(path)}: holds a merge marker")
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            problems.append(f"{name(path)}: must end with one line feed")
        if re.search(r"[ \t\r]$", text, re.MULTILINE):
            problems.append(f"{name(path)}: spaces at the end of a line")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "needs a docstring"
    assert text.count("\n") <= MAX_LINES, f"has more than {MAX_LINES} lines; split it"
    for node in ast.walk(tree):
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        found = {module.split(".")[0] for module in modules} & FORBIDDEN_IMPORTS
        assert not found, f"line {getattr(node, 'lineno', 0)}: imports {', '.join(found)}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_CALLS, f"line {node.lineno}: calls {node.func.id}"


def test_public_names_import() -> None:
    assert list(smeft_unbinned.__all__) == sorted(smeft_unbinned.__all__)
    for public in smeft_unbinned.__all__:
        assert getattr(smeft_unbinned, public) is not None
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        getattr(smeft_unbinned, "no_such_name")  # noqa: B009 (a constant name on purpose)
