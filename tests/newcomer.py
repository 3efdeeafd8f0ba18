"""Follow docs/tutorial.md word for word, as a newcomer would: `python tests/newcomer.py`.

The checkout is copied into an empty folder, without what git ignores. Every block of the tutorial is run
there in its order in one shell, the lines that install the package among them; blocks that are files are
saved under their names. Each command is shown with the time. Exit code 1 if one fails or all exceed --limit.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from doc_blocks import blocks

ROOT = Path(__file__).parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"


def checkout(folder: Path) -> None:
    """Copy every file of the project that git does not ignore into a folder."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listing.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def script() -> str:
    """Return the blocks of the tutorial as one script; a block that is a file is written by it."""
    parts = ["set -e", "PS4='+ $SECONDS s: '"]
    for block in blocks(TUTORIAL, "bash", "python", "yaml"):
        if block.file:
            parts.append(f"printf %s {shlex.quote(block.text)} > {block.file}")
        else:
            parts.append(f"set -x\n{block.text}{{ set +x; }} 2> /dev/null")
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that all may take")
    parser.add_argument("--keep", type=Path, help="folder to work in, which then stays; it must not exist")
    options = parser.parse_args()
    work = options.keep or Path(tempfile.mkdtemp())
    (work / "checkout").mkdir(parents=True)
    checkout(work / "checkout")
    # the Python of this program, not of its environment
    path = f"{Path(sys.base_prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    outside = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")}
    start = time.monotonic()
    try:
        done = subprocess.run(
            ["bash", "-c", script()], cwd=work / "checkout", env={**outside, "PATH": path}, check=False
        )
    finally:
        if options.keep is None:
            shutil.rmtree(work)
    seconds = time.monotonic() - start
    late = seconds > options.limit
    print(f"the tutorial took {seconds:.0f} s{f', more than {options.limit:.0f} s' if late else ''}")
    return 1 if done.returncode or late else 0


if __name__ == "__main__":
    sys.exit(main())
