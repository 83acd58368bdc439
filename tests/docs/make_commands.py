"""Writes docs/reference/commands.md from what `scoreline COMMAND --help` says: `python -m tests.docs.make_commands`."""

from __future__ import annotations

from pathlib import Path

import click

from scoreline.cli import cli

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/commands.md"
COMMAND = "python -m tests.docs.make_commands"
WIDTH = 100
HEAD = f"""# Commands

Made from the commands' own help; `{COMMAND}` renews it.
"""


def contexts(command, name, parent=None):
    """The context of a command and of all below it, in the order of the help."""
    names = ["-h", "--help"]
    context = click.Context(
        command, info_name=name, parent=parent, max_content_width=WIDTH, terminal_width=WIDTH, help_option_names=names
    )
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield from contexts(command.get_command(context, below), below, context)


def part(context):
    """One command, as a terminal of `WIDTH` columns shows its help."""
    told = "\n".join(line.rstrip() for line in context.get_help().splitlines())
    return f"## {context.command_path}\n\n```text\n{told}\n```\n"


def page():
    """The whole page."""
    return "\n".join([HEAD, *map(part, contexts(cli, "scoreline"))])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
