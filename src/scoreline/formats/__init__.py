"""File formats: how rows become bytes and come back, one format a file."""
