"""Files that others wrote: the user's own, and those of a workspace that nobody vouches for.

    reading.py   the bytes or the text of one file, bounded, or why there is none
    decoding.py  bytes to text, whatever the encoding

Knows no settings, no languages and no editor.
"""

__all__ = ["reading"]
