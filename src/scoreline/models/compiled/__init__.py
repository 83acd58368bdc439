"""The fastest exact forms of models: arrays and small JSON, computed without the library that trained them."""
