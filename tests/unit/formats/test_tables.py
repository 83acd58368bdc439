import gzip
import io
from datetime import datetime

import polars as pl
import pytest

from scoreline.files import Csv, Files
from scoreline.formats.tables import table_writer

ROWS = pl.DataFrame(
    {
        "id": [1, None, 3],
        "name": ["a;b", "Zoë", 'say "x"'],
        "at": [datetime(2025, 1, 18, 14, second) for second in range(3)],  # noqa: DTZ001 - source times are naive
    }
)


def written(path, **chosen):
    handle = io.BytesIO()
    table_writer(Files(path, **chosen))(ROWS.to_arrow(), handle)
    return handle.getvalue()


def test_parquet():
    assert pl.read_parquet(written("{slug}.parquet")).equals(ROWS)


def test_csv():
    assert pl.read_csv(written("{slug}.csv"), try_parse_dates=True).equals(ROWS)


def test_csv_in_the_declared_form():
    csv = Csv(separator=";", header=False, columns=ROWS.columns, encoding="latin-1", nulls=["-"])
    lines = written("{slug}.csv", csv=csv).decode("latin-1").splitlines()
    assert lines[0].startswith('1;"a;b";2025-01-18T14:00:00')
    assert lines[1].startswith("-;Zoë;")


def test_json_lines():
    assert pl.read_ndjson(written("{slug}.jsonl")).with_columns(pl.col("at").str.to_datetime("%F %T%.f")).equals(ROWS)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_compressed_and_the_same_bytes_again(suffix):
    plain, compressed = written(f"{{slug}}.{suffix}"), written(f"{{slug}}.{suffix}.gz")
    assert gzip.decompress(compressed) == plain
    assert written(f"{{slug}}.{suffix}.gz") == compressed
