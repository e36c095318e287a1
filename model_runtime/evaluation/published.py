"""What others published, for the tables beside ours. Percent.

Sources: READMEs and figures of the repositories CodeGeeX and CodeGeeX2, and for MTPB a digest of
the CodeGen paper. Only what could be read there is here.
"""

from __future__ import annotations

LANGUAGES = ("python", "cpp", "java", "js", "go")

# pass@1 of generation, in the order of LANGUAGES.
PASS_AT_1 = {
    "CodeGeeX-13B": (22.9, 17.1, 20.0, 17.6, 14.4),
    "CodeGen-Multi-16B": (19.2, 18.1, 15.0, 18.4, 13.0),
    "CodeGeeX2-6B": (35.9, 29.3, 30.8, 32.2, 22.5),
    "StarCoder-15B": (35.5, 28.2, 31.5, 33.2, 21.3),
    "CodeGen2.5-7B-multi": (30.6, 24.3, 29.0, 27.5, 18.9),
}

# pass@10 and pass@100 of Python, and pass@100 of the mean over the five languages.
PYTHON_AT_10 = {"CodeGeeX-13B": 39.6, "CodeGen-Multi-16B": 34.6, "CodeGeeX2-6B": 62.6}
PYTHON_AT_100 = {"CodeGeeX-13B": 60.9, "CodeGen-Multi-16B": 55.2, "CodeGeeX2-6B": 88.3}
MEAN_AT_100 = {"CodeGeeX-13B": 54.76, "CodeGen-Multi-16B": 54.39}

# Best single language, uniform, weighted.
BUDGET = {
    10: {
        "GPT-J-6B": (18.67, 22.25, 22.17),
        "GPT-NeoX-20B": (22.72, 26.94, 27.01),
        "InCoder-6.7B": (26.55, 30.04, 30.99),
        "CodeGen-Multi-6B": (30.98, 34.61, 34.85),
        "CodeGen-Multi-16B": (36.73, 38.22, 37.68),
        "CodeGeeX-13B": (38.68, 41.50, 41.99),
    },
    100: {
        "GPT-J-6B": (33.77, 36.53, 37.06),
        "GPT-NeoX-20B": (42.67, 45.65, 45.83),
        "InCoder-6.7B": (43.95, 45.61, 46.69),
        "CodeGen-Multi-6B": (53.19, 53.47, 53.94),
        "CodeGen-Multi-16B": (60.62, 61.27, 61.88),
        "CodeGeeX-13B": (60.92, 63.50, 63.92),
    },
}

# CodeGeeX-13B without fine-tuning, pass@1 of translation by source and target.
TRANSLATION_AT_1 = {
    ("python", "cpp"): 26.54,
    ("python", "java"): 25.84,
    ("python", "js"): 23.22,
    ("python", "go"): 9.56,
    ("cpp", "python"): 27.18,
    ("cpp", "java"): 22.56,
    ("cpp", "js"): 30.23,
    ("cpp", "go"): 8.64,
    ("java", "python"): 43.41,
    ("java", "cpp"): 39.33,
    ("java", "js"): 44.19,
    ("java", "go"): 17.17,
    ("js", "python"): 31.15,
    ("js", "cpp"): 30.32,
    ("js", "java"): 24.68,
    ("js", "go"): 11.91,
    ("go", "python"): 35.92,
    ("go", "cpp"): 29.83,
    ("go", "java"): 22.89,
    ("go", "js"): 25.24,
}

# MTPB, percent of cases passed: multi-turn, single-turn.
MTPB = {"CodeGen-Mono-350M": (16.98, 5.75), "CodeGen-Mono-16B": (47.34, 38.74)}
