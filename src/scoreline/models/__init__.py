"""Models: stores that pin them, and one file for each kind that can be loaded."""
