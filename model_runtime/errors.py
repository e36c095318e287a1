"""What can go wrong in the runtime, as one tree.

    RuntimeFailure            str() is one sentence for the user, without a word of their code
    ├── WeightsError          a model folder is missing, damaged or not what it says
    ├── ConversionError       a checkpoint can't be made into a model folder
    ├── UnknownModelError     a name that is neither in the catalogue nor a model folder
    ├── HubError              a model can't be fetched, or isn't there
    ├── BadPromptError        a request this model can't take
    ├── UnservedTaskError     a task this model isn't made for
    └── GivenUpError          the engine fails again and again

Anything else that is raised is a bug.
"""

from __future__ import annotations


class RuntimeFailure(Exception):  # noqa: N818 - a failure the user is told about, not a bug
    """Base of every expected failure."""


class WeightsError(RuntimeFailure):
    """The model can't be loaded: missing, truncated, wrong checksum, wrong shapes."""


class ConversionError(RuntimeFailure):
    """The checkpoint isn't one we know, is damaged, or the target can't be written."""


class UnknownModelError(RuntimeFailure):
    """No model of the catalogue has this name, and no folder with a model either."""


class HubError(RuntimeFailure):
    """A model can't be fetched from the hub, isn't installed, or can't be removed."""


class BadPromptError(RuntimeFailure):
    """The request doesn't fit the model: too long, empty, impossible sampling."""


class UnservedTaskError(RuntimeFailure):
    """The model can't be asked for this task."""


class GivenUpError(RuntimeFailure):
    """Turn after turn of the engine fails: a new process may do better."""
