"""One file per LSP or codegeex/* method, named after it: convert in, call one thing, convert out.

Registered in server.py.
"""
