"""What one window has: settings in force, link, completer, errands and their delivery.

Knows the editor's session; no prompt, no model. Handlers call it.
"""

__all__ = ["errand", "postponed", "session", "work_progress"]
