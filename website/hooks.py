"""What the documentation site adds to mkdocs: formulas as MathML, help of all commands, pages of fitters.

Browsers draw MathML themselves, so that pages need neither scripts nor a network for formulas. The READMEs of
`plugins` become pages of the site; links to them work in the checkout and in the site.
"""

from __future__ import annotations

import html
import posixpath
import re
from pathlib import Path
from typing import Any

import click
from latex2mathml.converter import convert
from mkdocs.structure.files import File

from smeft_unbinned.cli import main

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
HELP = "<!-- help of all commands -->"
ROOT = Path(__file__).parents[1]
FITTERS = {f"fitters/{p.parent.name}.md": p for p in sorted(ROOT.glob("plugins/*/README.md"))}
"""Pages and where they come from."""


def on_config(config: Any, **_: Any) -> Any:
    """Add a section with the fitters to the references."""
    section = [{path.read_text(encoding="utf-8").split("\n")[0][2:]: page} for page, path in FITTERS.items()]
    reference = next(part["Reference"] for part in config["nav"] if "Reference" in part)
    reference.append({"Fitters": section})
    return config


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Add the pages of the fitters."""
    for page, path in FITTERS.items():
        files.append(File.generated(config, page, content=path.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fill in the help of commands; make links out of docs, or from a plugin, those of the site."""
    uri = page.file.src_uri
    source = FITTERS[uri].relative_to(ROOT).as_posix() if uri in FITTERS else f"docs/{uri}"
    pages = {path.relative_to(ROOT).as_posix(): name for name, path in FITTERS.items()}

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), match[1]))
        to = pages.get(target, target.removeprefix("docs/"))
        return f"]({posixpath.relpath(to, posixpath.dirname(uri) or '.')}"

    markdown = LINK.sub(link, markdown)
    return markdown.replace(HELP, _help()) if HELP in markdown else markdown


def _help() -> str:
    """Return a section per command with what --help prints."""
    top = click.Context(main, info_name="smeft-unbinned", terminal_width=82)
    sections = [f"```text\n{main.get_help(top)}\n```"]
    for name in main.list_commands(top):
        command = main.get_command(top, name)
        assert command is not None, name
        text = command.get_help(click.Context(command, parent=top, info_name=name))
        sections.append(f"## {name}\n\n```text\n{text}\n```")
    return "\n\n".join(sections)


def on_page_content(content: str, **_: Any) -> str:
    """Replace every formula of a page, as pymdownx.arithmatex marks it, by MathML."""
    return FORMULA.sub(_mathml, content)


def _mathml(match: re.Match[str]) -> str:
    tag, _, latex = match.groups()
    display = "block" if tag == "div" else "inline"
    return convert(html.unescape(latex).strip(), display=display)
