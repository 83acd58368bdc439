"""The page of commands is what the commands say of themselves, and none of them is silent."""

import click
import pytest
from tests.docs.make_commands import COMMAND, PAGE, contexts, page

from scoreline.cli import cli

ALL = {context.command_path: context.command for context in contexts(cli, "scoreline")}


def test_the_page_of_commands_is_what_their_help_says():
    assert PAGE.read_text("utf-8") == page(), f"out of date; renew it: {COMMAND}"


@pytest.mark.parametrize("path", ALL)
def test_a_command_says_what_it_and_its_options_are_for(path):
    assert ALL[path].help
    silent = [one.name for one in ALL[path].params if isinstance(one, click.Option) and not one.help]
    assert silent == []
