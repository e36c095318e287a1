"""From a model's folder to a network ready to run, or a sentence saying why not.

Knows files, their checks and what fits into memory; downloads nothing, runs no code that came with
a model, and knows no request.
"""

__all__ = [
    "announcing",
    "assembly",
    "fit",
    "forecast",
    "hub_folder",
    "hub_network",
    "loaded",
    "native",
    "opening",
    "text_encoder",
    "trial",
]
