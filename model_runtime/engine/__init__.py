"""The one thread that runs the model: schedule, run, emit.

Knows jobs, rows and time; no socket and no client. scheduler.py, counters.py and loading.py import
no torch, so that the process that serves starts in milliseconds.
"""

__all__ = ["counters", "engine", "loading", "scheduler"]
