"""Scoreline: batch scoring for tabular models."""
