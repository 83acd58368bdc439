"""Sources: where the rows of a job come from."""
