"""Stores: where bytes lie. Local folders for now."""
