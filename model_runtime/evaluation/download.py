"""Fetches the problem files from the repositories that published them, checked by their sha256.

The one thing here that reaches the network, and only when asked to.
"""

from __future__ import annotations

import hashlib
import urllib.request
from pathlib import Path

import platformdirs

from model_runtime.evaluation.errors import EvaluationError

CODEGEEX = (
    "https://raw.githubusercontent.com/THUDM/CodeGeeX/2838420b7b4492cf3d16bce5320e26e65960c9e2/"
    "codegeex/benchmark/"
)
CODEGEN = (
    "https://raw.githubusercontent.com/salesforce/CodeGen/6f09e495f41e006375055239e4bcb18539f3a38b/"
    "codegen1/benchmark/"
)
# Path in the data folder: where it is published, and its checksum.
FILES = {
    "humaneval-x/python/data/humaneval_python.jsonl.gz": (
        CODEGEEX + "humaneval-x/python/data/humaneval_python.jsonl.gz",
        "5752fb122efddb0e9b47c77907ae6ce9a15aac4dea14e44c46032c831e6b987a",
    ),
    "humaneval-x/cpp/data/humaneval_cpp.jsonl.gz": (
        CODEGEEX + "humaneval-x/cpp/data/humaneval_cpp.jsonl.gz",
        "dcf2e280a1e91bbc3c5f90edb41397e8a9ac1ccc9f5d2b70082f0b0fbfb6dbb0",
    ),
    "humaneval-x/java/data/humaneval_java.jsonl.gz": (
        CODEGEEX + "humaneval-x/java/data/humaneval_java.jsonl.gz",
        "276f36db2eb7aeb864f36a19a2f4e1bb2460fb6e22ff100f0b5bedabe3799967",
    ),
    "humaneval-x/js/data/humaneval_js.jsonl.gz": (
        CODEGEEX + "humaneval-x/js/data/humaneval_js.jsonl.gz",
        "fe5d467f2c1a027b3f6f18d3729aca01f6458c1de2e2d1292a019c5aa9bed424",
    ),
    "humaneval-x/go/data/humaneval_go.jsonl.gz": (
        CODEGEEX + "humaneval-x/go/data/humaneval_go.jsonl.gz",
        "09126ef64ac68f87296c5f3781186aedc5dec799b114d9df99d6de4a715a7830",
    ),
    "mtpb/mtpb.jsonl": (
        CODEGEN + "mtpb.jsonl",
        "3ab79ddb160f484a63491330ba72204930d56cc946f7c0c5fb469622a941f89c",
    ),
}
DEADLINE_S = 60.0


def default_folder() -> Path:
    return platformdirs.user_data_path("codegeex", appauthor=False) / "evaluation"


def download(folder: Path) -> int:
    """Fetch what is missing or damaged; how many files that were. Raises EvaluationError."""
    fetched = 0
    for name, (address, checksum) in FILES.items():
        path = folder / name
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == checksum:
            continue
        try:
            with urllib.request.urlopen(address, timeout=DEADLINE_S) as answer:  # noqa: S310
                data = answer.read()
        except OSError as error:
            raise EvaluationError(
                f"{address} can't be fetched ({error}); copy the file to {path} yourself."
            ) from None
        if hashlib.sha256(data).hexdigest() != checksum:
            raise EvaluationError(f"{address} isn't the file it was; nothing was written.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        fetched += 1
    return fetched
