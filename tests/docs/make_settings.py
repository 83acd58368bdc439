"""Writes the table of docs/reference/settings.md and .env.example from `scoreline.settings.TABLE`.

python -m tests.docs.make_settings
"""

from __future__ import annotations

import re
from pathlib import Path

from scoreline.settings import TABLE

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reference/settings.md"
EXAMPLE = ROOT / ".env.example"
COMMAND = "python -m tests.docs.make_settings"
MARK = f"<!-- the table: {COMMAND} -->"
HEAD = """\
# Settings of Scoreline. Copy this file to .env beside your job file, and remove the # before what you change.
# The environment, such as SCORELINE_MAX_WORKERS=2, wins over it. More: docs/reference/settings.md
"""


def table():
    """The table, as the page has it."""
    rows = [f"| `{one.variable}` | {one.default or '-'} | {one.kind.form} | {one.effect} |" for one in TABLE]
    return "\n".join([MARK, "| name | default | allowed | effect |", "|---|---|---|---|", *rows])


def page():
    """The page with its table renewed."""
    text = PAGE.read_text("utf-8")
    return re.sub(rf"{re.escape(MARK)}(\n\|[^\n]*)*", lambda _: table(), text, count=1)


def example():
    """All names with their defaults, each below a line that says what it does."""
    return "\n".join([HEAD, *(f"# {one.effect}\n# {one.variable}={one.default}\n" for one in TABLE)])


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    EXAMPLE.write_text(example(), "utf-8")
