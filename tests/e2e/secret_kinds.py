"""Secrets of many kinds for a drill: files that hold them, and the line that asks for each.

No value stands here as a whole: each is drawn, the same in every run, so that no scanner of this
repository takes one for real.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass

_DRAW = random.Random(11)
ALNUM = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + "234567"
HEX = "0123456789abcdef"


def drawn(count: int, letters: str = ALNUM) -> str:
    return "".join(_DRAW.choices(letters, k=count))


@dataclass(frozen=True)
class Kind:
    """`path` in the project, `above` and `before` the value on its line, and what follows it."""

    name: str
    path: str
    before: str
    value: str
    after: str = ""
    above: str = ""

    @property
    def text(self) -> str:
        return f"{_filler(self.name)}{self.above}{self.before}{self.value}{self.after}\n"

    @property
    def typed(self) -> str:
        """What somebody types in another file, up to the value."""
        return f"{_filler(self.name)}{self.above}{self.before}"

    def leaks_into(self, text: str) -> bool:
        """Whether ten characters of the value stand in a row in the text."""
        lines = [it for it in self.value.split("\n") if len(it) > 10 and "KEY--" not in it]
        return any(line[n : n + 10] in text for line in lines for n in range(len(line) - 9))


def _filler(name: str) -> str:
    return f"region_of_{name} = 4\nretries_of_{name} = 12\n"


def _plain() -> str:
    """What no rule about shapes would take for a secret, and nobody would write by chance."""
    return "-".join((drawn(6, string.ascii_lowercase), drawn(7, string.ascii_lowercase)))


def _by_name(name: str, path: str) -> Kind:
    return Kind(name, path, f"label_of_{name} = ", _plain())


def _by_shape(name: str, value: str, variable: str = "", end: str = "py") -> Kind:
    before = f'{variable or "setting_of_" + name} = "'
    return Kind(name, f"config/{name}_settings.{end}", before, value, '"')


def _key(kind: str, lines: int) -> str:
    body = "\n".join(drawn(64, ALNUM + "+/") for _ in range(lines))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


NAMES = (
    _by_name("dotenv", ".env"),
    _by_name("dotenv_local", ".env.local"),
    _by_name("dotenv_prod", "prod.env"),
    _by_name("direnv", ".envrc"),
    _by_name("ssh_key", "id_rsa"),
    _by_name("ssh_key_new", "keys/id_ed25519"),
    _by_name("certificate", "tls/server.pem"),
    _by_name("key_file", "tls/deploy.key"),
    _by_name("npm", ".npmrc"),
    _by_name("pypi", ".pypirc"),
    _by_name("netrc", ".netrc"),
    _by_name("postgres", ".pgpass"),
    _by_name("git", ".git-credentials"),
    _by_name("aws_file", ".aws/credentials"),
    _by_name("docker", ".docker/config.json"),
    _by_name("kube", ".kube/config"),
    _by_name("kubeconfig", "cluster/kubeconfig.yaml"),
    _by_name("google_account", "service-account.json"),
    _by_name("google_client", "client_secret.json"),
    _by_name("credentials", "credentials.json"),
    _by_name("helm", "charts/secrets.yaml"),
    _by_name("module", "app/secrets.py"),
    _by_name("terraform", "infra/terraform.tfvars"),
    _by_name("terraform_state", "infra/terraform.tfstate"),
    _by_name("apache", ".htpasswd"),
)
RULES = (
    _by_name("ignored_by_git", "private/notes.py"),
    _by_name("ignored_by_us", "drafts/notes.py"),
    _by_name("excluded", "vault/notes.py"),
    _by_name("excluded_by_end", "app/notes.internal.py"),
    _by_name("environment", "myenv/lib/python3.11/site-packages/pack.py"),
    _by_name("environment_script", "myenv/bin/tool.py"),
)
SHAPES = (
    _by_shape("aws_id", "AKIA" + drawn(16, UPPER)),
    _by_shape("aws_key", drawn(40, ALNUM + "/+"), "aws_secret_access_key"),
    _by_shape("github_classic", "ghp_" + drawn(36)),
    _by_shape("github_fine", "github_pat_" + drawn(22) + "_" + drawn(59)),
    _by_shape("gitlab", "glpat-" + drawn(20)),
    _by_shape("openai_project", "sk-proj-" + drawn(48)),
    _by_shape("openai_before", "sk-" + drawn(48)),
    _by_shape("anthropic", "sk-ant-" + "api03-" + drawn(93) + "AA"),
    _by_shape("stripe", "sk_live_" + drawn(24), "STRIPE_SECRET_KEY"),
    _by_shape("slack", "xoxb-" + drawn(12, string.digits) + "-" + drawn(24)),
    _by_shape("slack_hook", "https://hooks.slack.com/services/T" + drawn(8) + "/B" + drawn(24)),
    _by_shape("google_key", "AIza" + drawn(35)),
    _by_shape("hugging_face", "hf_" + drawn(34)),
    _by_shape("npm_token", "npm_" + drawn(36)),
    _by_shape("sendgrid", "SG." + drawn(22) + "." + drawn(43)),
    _by_shape("json_web_token", "eyJ" + drawn(33) + "." + drawn(60) + "." + drawn(43)),
    _by_shape("azure", drawn(86, ALNUM + "+/") + "==", "storage_account_key"),
    _by_shape("password", "tulip-Kx93-orchard", "DB_PASSWORD"),
    _by_shape("word_as_password", "swordfishing", "db_password"),
    _by_shape("token_of_nobody", drawn(32), "billing_api_token"),
    Kind("key_block", "config/key.py", "KEY = '''", _key("RSA ", 12), "'''"),
    Kind("key_block_new", "config/key.go", "var key = `", _key("OPENSSH ", 6), "`"),
    Kind(
        "connection", "config/data.py", 'ENGINE = "postgresql://app:', drawn(16), '@db.local/main"'
    ),
    Kind("compose", "deploy/compose.yaml", "  POSTGRES_PASSWORD: ", "harbour-Qz71-thistle"),
    Kind("shell", "deploy/start.sh", "export API_TOKEN=", drawn(24)),
    Kind("properties", "deploy/app.properties", "mail.password=", "lantern_84_Meadow"),
    Kind("header", "config/request.py", 'headers = {"Authorization": "Bearer ', drawn(40), '"}'),
)
KINDS = (*NAMES, *RULES, *SHAPES)
# What nothing is wrong with, and what must therefore be learned.
ORDINARY = (
    _by_name("ordinary", "app/labels.py"),
    _by_name("ordinary_open", "app/opened.py"),
)

GITIGNORE, OURS = "private/\n", "drafts/\n"
EXCLUDE = ["vault", "**/*.{internal.py,hidden.py}"]
