"""The Python door, a module for each thing that one does: `scoring`, `published`, `simulating` and so on.

Each function assembles, calls the core, and adds nothing. What everybody needs is at the root, as `scoreline.run`; what
only commands and examples use is imported from its module, so that a run does not load what training needs.
"""
