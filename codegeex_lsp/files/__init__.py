"""Files that others wrote: the user's own, and those of a workspace that nobody vouches for.

    reading.py   the bytes or the text of one file, bounded, or why there is none
    decoding.py  bytes to text, whatever the encoding
    folders.py   the folders of a workspace, and how the editor spells what lies in them

Knows no settings, no languages and no editor.
"""

__all__ = ["folders", "reading"]
