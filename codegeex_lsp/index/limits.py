"""What the index's process may use, and with whom it ends: a workspace is nobody's word.

The system holds these limits, whatever Python is busy with: a regular expression or a computation
that never ends would keep every thread of the process from running. Windows knows none of them;
there the thread that reads the server's messages ends the process, as it does everywhere else.
__main__.py and service.py call it.
"""

from __future__ import annotations

import contextlib
import signal
import sys

# An index of 20,000 files takes 60 to 150 MiB.
MOST_MEMORY = 1 << 30
# Of the processor, between two files. The longest step is some seconds: reading the worst ignore
# file that is taken.
LONGEST_STEP_S = 60
_PR_SET_PDEATHSIG = 1


def hold() -> None:
    """Bound the memory, and on Linux end with the server, though it be killed or this stopped."""
    if sys.platform == "win32":
        return
    import resource

    # Address space that is only reserved, for threads and libraries, doesn't count to a data limit.
    _limit(resource.RLIMIT_DATA, MOST_MEMORY)
    _limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


def next_step(longest_s: int = LONGEST_STEP_S) -> None:
    """So much of the processor may be used until this is called again, or the process is ended."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + longest_s)


if sys.platform != "win32":

    def _limit(what: int, most: int) -> None:
        """Whoever started the editor may have allowed less, which stays."""
        import resource

        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        with contextlib.suppress(OSError, ValueError):  # a system that limits no such thing
            resource.setrlimit(what, (most, hard))
