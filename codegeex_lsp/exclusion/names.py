"""Files and folders that are left out for what they are called. Pure text.

The list of files follows what .gitignore templates and secret scanners agree on; a name that people
give to a template of such a file, as .env.example, is none of them.
"""

from __future__ import annotations

import re

# What says which other files are left out.
IGNORE_FILES = (".gitignore", ".codegeexignore")

_FILES = (
    # environment and shells
    r"\.env(?:rc|[.-].+)?",
    r"[\w-]+\.env",
    r"\.\w+_history",
    # keys and stores of keys
    r"id_(?:rsa|dsa|ecdsa|ed25519)\w*(?:\.(?!pub)\w+)?",
    r".*\.(?:pem|key|p8|p12|pfx|ppk|jks|keystore|kdbx?|ovpn|gpg|pgp)",
    r"secring.*",
    # what tools log in with
    r"[._]netrc|\.(?:npm|pypi|terraform)rc|terraform\.rc|credentials\.tfrc\.json",
    r"\.?(?:htpasswd|pgpass(?:\.conf)?)|\.my(?:login)?\.cnf|\.s3cfg|\.boto|\.databrickscfg",
    r"\.git-credentials|\.docker(?:cfg|configjson)|\.vault[-_](?:token|pass\w*)|\.?rclone\.conf",
    r"(?:.*\.)?kubeconfig(?:\.ya?ml)?|local\.settings\.json|auth\.json",
    r".*\.tfvars(?:\.json)?|.*\.tfstate(?:\.backup)?",
    # called so
    r"\.?(?:secrets?|credentials?|passwords?|passwd)(?:\.\w+)*",
    r"(?:.*[._-])?(?:client[._-]?secrets?|service[._-]?account|secrets?)\b.*\.(?:json|ya?ml|toml|ini)",
)
_SECRET = re.compile("|".join(_FILES))
_TEMPLATE = re.compile(r".*[._-](?:example|sample|template|dist|defaults?|schema)(?:\.\w+)?")
# Of two names only: a file in the folder where the tool keeps it.
_SECRET_PLACES = frozenset(
    (
        (".aws", "config"),
        (".docker", "config.json"),
        (".kube", "config"),
        (".snowsql", "config"),
        (".ssh", "config"),
    )
)

# What package managers, build tools and version control fill: nobody writes code there.
FOLDERS = frozenset(
    (
        *(".git", ".hg", ".svn", ".jj"),
        *("site-packages", "dist-packages", "__pycache__", "__pypackages__", ".venv", ".tox"),
        *(".nox", ".eggs", ".direnv", ".pixi", ".ipynb_checkpoints"),
        *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis"),
        *("node_modules", "bower_components", "jspm_packages", ".yarn", ".pnpm-store"),
        *(".gradle", ".terraform", ".bundle", "Pods", ".dart_tool"),
    )
)
# A folder with one of these in it is an environment or a cache, whatever it is called: of Python's
# venv, of conda, and of every tool that marks its caches (Cargo, pytest, ruff and others).
MARKS = ("pyvenv.cfg", "conda-meta", "CACHEDIR.TAG")


def is_secret(path: str) -> bool:
    """Whether a file of that path, with slashes of either kind, is likely to hold secrets."""
    *folders, name = path.lower().replace("\\", "/").split("/")
    if folders and (folders[-1], name) in _SECRET_PLACES:
        return True
    return _SECRET.fullmatch(name) is not None and _TEMPLATE.fullmatch(name) is None
