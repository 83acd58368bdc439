"""The page of commands is what the commands say of themselves, and none of them is silent."""

import re

import click
import pytest
from tests.docs.make_commands import COMMAND, PAGE, ROOT, contexts, page

from scoreline.cli import cli

ALL = {context.command_path: context.command for context in contexts(cli, "scoreline")}


def test_the_page_of_commands_is_what_their_help_says():
    assert PAGE.read_text("utf-8") == page(), f"out of date; renew it: {COMMAND}"


@pytest.mark.parametrize("path", ALL)
def test_a_command_says_what_it_and_its_options_are_for(path):
    assert ALL[path].help
    silent = [one.name for one in ALL[path].params if isinstance(one, click.Option) and not one.help]
    assert silent == []


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/reference").glob("*.md"))]
NAMED = re.compile(r"(?:`|^\$ )(scoreline [a-z][^`\n]*)", re.MULTILINE)


def unknown(line):
    """The words of a command that no command knows: names of commands, and options."""
    words, path, rest = line.split("  #")[0].split()[1:], "scoreline", []
    for word in words:
        path, rest = (f"{path} {word}", rest) if f"{path} {word}" in ALL else (path, [*rest, word])
    names = {name for one in ALL[path].params for name in one.opts} | {"--help"}
    lost = rest[:1] if isinstance(ALL[path], click.Group) else []
    return [*lost, *(word for word in rest if word.startswith("--") and word.split("=")[0] not in names)]


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_commands_that_a_page_names_exist_with_their_options(page):
    named = NAMED.findall(page.read_text("utf-8"))
    assert {line: unknown(line) for line in named if unknown(line)} == {}


def test_a_command_that_is_not_there_is_noticed():
    assert unknown("scoreline trian JOB") == ["trian"]
    assert unknown("scoreline quarantine shwo JOB") == ["shwo"]
    assert unknown("scoreline run JOB --froce --limit 5") == ["--froce"]
