"""The model server: it knows models and never an editor. Start reading in daemon.py."""

__version__ = "0.1.0"
