"""How good a model is: HumanEval-X and MTPB, sampled through the runtime and executed in a sandbox.

It is a client of the runtime like any editor: it imports its protocol and endpoint, never the
engine. Read humaneval_x.py first.
"""
