"""Which processor runs the model, in which precision, with how many threads, and why.

A kind of processor is a file of two functions: ask() collects what torch and the drivers say, and
judge() makes of it a Device or Unusable, each with its reason in words. Choosing is so tested
without the hardware. Knows no model.
"""

__all__ = ["choice", "kinds", "memory", "system_memory", "torch_plugins"]
