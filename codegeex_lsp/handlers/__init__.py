"""One file per LSP or codegeex/* method, named after it: convert in, call one thing, convert out.

Registered in server.py.
"""

__all__ = [
    "candidates",
    "code_action",
    "code_action_resolve",
    "completion",
    "did_change_configuration",
    "did_change_watched_files",
    "did_save",
    "docstring",
    "execute_command",
    "explain",
    "generate",
    "initialize",
    "initialized",
    "inline_completion",
    "pull_model",
    "search",
    "shutdown",
    "summarise",
    "template",
    "translate",
    "why",
]
