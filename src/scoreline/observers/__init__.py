"""Observers: what hears of a run."""
