"""The commands of `codegeex-lsp` beside the server, one file each.

They know people and their terminals; exit codes are 0 done, 1 could not be done, 2 bad arguments.
"""

__all__ = ["complete", "doctor", "editor_config", "models", "serve", "status"]
