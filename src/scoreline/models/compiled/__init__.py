"""Compiled forms of models: arrays and small JSON, that compute what the original would."""
