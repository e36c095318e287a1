"""What is left out: of the index, of the runtime's memory, of what other documents are completed
with, and of whatever may ever leave the machine.

    rule.py      why a file is left out: its name, its folder, the user's globs, ignore files
    names.py     what files with secrets, and folders that programs fill, are called
    values.py    secrets inside a text by their shape (shapes.toml), and the text without them
    globs.py     globs as editors write them
    ignoring.py  .gitignore, .git/info/exclude, .codegeexignore
    patterns.py  their patterns, in bounded time
    left_out.py  the reasons, and their words

Knows paths and texts; no document, no setting, no editor.
"""

__all__ = ["globs", "ignoring", "left_out", "names", "rule", "values"]
