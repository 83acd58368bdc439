"""What Scoreline is measured beside: real programs, each in its best documented way, run as `python -m`."""
