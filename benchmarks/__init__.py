"""How fast Scoreline is, beside plain pandas and beside a copy of its output: `python -m benchmarks`."""
