"""One file per LSP or codegeex/* method, named after it: convert in, call one thing, convert out.
The actions, which have one shape, are the rows of actions.py.

Registered in server.py.
"""

__all__ = [
    "actions",
    "candidates",
    "code_action",
    "code_action_resolve",
    "completion",
    "did_change_configuration",
    "did_change_watched_files",
    "did_change_workspace_folders",
    "did_save",
    "initialize",
    "initialized",
    "inline_completion",
    "pull_model",
    "search",
    "shutdown",
    "why",
]
