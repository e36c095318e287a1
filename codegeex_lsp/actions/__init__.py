"""The actions beside completion: generate, translate, explain, docstring, template.

    plan.py       what an action is: questions to a model, and what becomes of the answers
    passage.py    the lines an action is about, and the enclosing block of a tiny selection
    portions.py   a long passage in pieces of whole definitions
    answers.py    what models put around code, taken away
    comments.py   comments of the 23 languages, read and written
    syntax.py     does code parse?
    anchor.py     where a passage went when its document changed meanwhile

and one module an action. All of it is pure: snapshots and texts in, plans and texts out. The
performer asks the questions, the delivery brings the outcome to the editor.
"""

__all__ = [
    "anchor",
    "docstring",
    "explain",
    "generate",
    "menu",
    "passage",
    "performer",
    "plan",
    "summarise",
    "template",
    "templates",
    "translate",
]
