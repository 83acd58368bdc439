"""The measured table: what comes of a model of each kind made by each version, as the reference page shows it."""

from __future__ import annotations

from tests.versions.environments import ROOT, VERSIONS
from tests.versions.make_models import KINDS
from tests.versions.scoring import EQUAL

PAGE = ROOT / "docs/reference/model-versions.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
WORDS = {EQUAL: "accepted", "ModelInvalid": "unreadable", "ModelFailed": "fails", "ModelOutdated": "changed"}
"""Of a model that is refused by default: what ``--accept-version`` makes of it."""


def cell(plainly, accepted):
    """One word for two outcomes."""
    return EQUAL if plainly == EQUAL else WORDS[accepted]


def markdown(cells, made_with, date):
    """The measured part of the page: versions, then a row for each kind.

    Args:
        cells: (kind, version) -> word.
        made_with: version -> package -> version.
        date: of the measurement, as text.
    """
    head = ["model", *(made_with[version]["scikit-learn"] for version in VERSIONS)]
    rows = [[kind, *(cells[kind, version] for version in VERSIONS)] for kind in KINDS]
    return "\n".join(
        [f"Measured on {date}.", "", *_table(head, rows), "", "Made with:", "", *_environments(made_with)],
    )


def _environments(made_with):
    names = list(made_with[VERSIONS[0]])
    return _table(names, [[made_with[version][name] for name in names] for version in VERSIONS])


def _table(head, rows):
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return [
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]


def documented():
    """The measured part of the page as it stands, but for its first line, the date."""
    return _without_date(PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0])


def _without_date(text):
    return text.strip().split("\n", 1)[-1].strip()


def same_as_documented(measured):
    """Whether the page shows this measurement; the date does not count."""
    return documented() == _without_date(measured)


def write(measured):
    """Puts a measurement into the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{measured}\n{END}{rest.split(END)[1]}", encoding="utf-8")
