"""Models where people have them: the catalogue, what is here, fetching.

Knows repositories, folders and checksums; opens no weights and imports no torch.
"""

__all__ = ["cache", "catalogue", "download", "package", "soundness"]
