"""``scoreline verify``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from scoreline.cli import options
from scoreline.errors import FilesDamaged

if TYPE_CHECKING:
    from scoreline.audit import Verified


@click.command()
@options.JOB
@click.argument("partition", required=False)
@click.option("--content", is_flag=True, help="Compute the content digest of each output too, which reads all rows.")
@options.SET
@options.JSON
def verify(job: str, partition: str | None, settings: tuple[str, ...], *, content: bool, as_json: bool) -> None:
    """Check that what JOB has published is still what its runs wrote: every byte, in outputs and quarantine.

    Each file is hashed and compared with what the ledger recorded; a flipped byte, which readers do not notice, is
    found. The kept copies of the models are checked too. Exits 1 when anything is not as it was written.
    """
    from scoreline.api.published import verify as verify_api
    from scoreline.cli import show

    with _progress() as hear:
        found = verify_api(job, partition, content=content, settings=options.parsed(settings), progress=hear)
    damaged = [one for one in found if one.damaged]
    if as_json:
        show.print_json([one.to_dict() for one in found])
        sys.exit(1 if damaged else 0)
    _print(found)
    if damaged:
        raise FilesDamaged(
            f"{len(damaged)} of {len(found)} files are not as Scoreline wrote them", hint=damaged[0].next
        )


def _print(found: list[Verified]) -> None:
    from scoreline.cli import show

    if not found:
        click.echo("nothing is published yet")
        return
    columns = ("partition", "kind", "state", "found", "file")
    rows = [(one.partition, one.kind, one.state, _shown(one), one.path) for one in found]
    show.print_table(columns, rows)
    for one in found:
        if one.next:
            click.echo(f"\n{one.partition} {one.kind}: {one.path} {_ADVICE[one.state]}\n  Next: {one.next}")


_ADVICE = {
    "flipped": "is damaged; if you have a copy, put it back, else make it anew",
    "missing": "is gone; if you have a copy, put it back, else make it anew",
    "another run": "is not what was published last",
    "foreign": "is not ours: move it away if somebody needs it, because the command replaces it",
}


def _shown(one: Verified) -> str:
    return f"{one.detail}, content {one.content}" if one.content else one.detail


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Shows how many files are done, on a terminal only."""
    bar = click.progressbar(length=1, label="files", file=sys.stderr, show_pos=True)

    def hear(done: int, total: int) -> None:
        bar.length = total
        bar.update(done - bar.pos)

    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    with bar:
        yield hear
