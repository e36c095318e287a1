"""Figures with a named peer measured in the same run. Not shipped, not tested for times."""
