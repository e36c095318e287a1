"""`codegeex-runtime bench`: how fast a CodeGeeX of a given size runs here, and what limits it.

Speed doesn't depend on the weights' values, so they are random and no model has to be there. Knows
networks and one engine; nothing imports it but the command line.
"""

__all__ = ["command"]
