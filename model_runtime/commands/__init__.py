"""The commands of `codegeex-runtime` that print and ask, one file each.

They know people and their terminals; the work is done in the rooms below.
"""

__all__ = ["check", "client", "models"]
