"""Ledgers: runs, claims and receipts, in memory or in SQLite."""
