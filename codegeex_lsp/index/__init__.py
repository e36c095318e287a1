"""The workspace's index: a process of its own that finds places in the workspace's files by words,
and by vectors that its server has made for it.

    __main__.py    the process: starts at low priority, ends with its server
    service.py     what it is asked on stdin, one thing at a time, and what it answers on stdout
    steps.py       one that fails costs its own question
    workspace.py   keeps the store in step with the files and the open documents
    files.py       which files belong to the index, within bounds
    chunks.py      a file's text by definition
    words.py       identifiers and sentences to words
    store.py       SQLite's full text search (FTS5), which ranks by BM25
    vectors.py     vectors of the chunks, when an embedding model is there to make them
    fusion.py      a ranking by words and one by vectors as one
    cache.py       where databases lie, and which are old
    limits.py      what the process may use, and with whom it ends

A process and not a thread: Python code that works holds up the server's loop for up to 5 ms each
time that it wakes, and what an index once took stays in a process's memory. The server's side is
workspace/index_client.py; of this package the server imports the door alone, because the rest takes
time to import. Nothing here knows LSP or the runtime.
"""

__all__ = ["places"]
