"""Engines: where splits are scored."""
