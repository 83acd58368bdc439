"""One byte of a file changed, as a failing disk does it."""

import polars as pl
import pyarrow.parquet as pq


def flip(path, position):
    """Flips one bit of the byte at a position."""
    content = bytearray(path.read_bytes())
    content[position] ^= 0x01
    path.write_bytes(content)


def flip_unnoticed(path):
    """Flips a bit so that Polars reads other values without an error; of a page's content only, because Polars ends the
    whole process over some lengths in a page's header."""
    before, content = pl.read_parquet(path), path.read_bytes()
    group = pq.read_metadata(path).row_group(0)
    chunks = [group.column(at) for at in range(group.num_columns)]
    ends = [chunk.data_page_offset + chunk.total_compressed_size for chunk in chunks]
    for position in (end - back for end in ends for back in range(1, 25)):
        flip(path, position)
        try:
            if not pl.read_parquet(path).equals(before):
                return
        except pl.exceptions.PolarsError:
            pass
        path.write_bytes(content)
    raise AssertionError("Polars noticed every flipped bit")
