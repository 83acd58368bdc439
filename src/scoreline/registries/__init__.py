"""Registries: where trained models are kept, one vendor per file."""
