"""`models pull` over TLS and through proxies: what works, and the sentence where it doesn't."""

from __future__ import annotations

import datetime
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from local_hub import LocalHub
from proxies import Proxy
from sample_model import HUB_ID, MODEL, model_files
from test_pull import Done, assert_refused, pull, state

NOW = datetime.datetime.now(datetime.UTC)
YEAR = datetime.timedelta(days=365)
AGAIN = f"run: codegeex-lsp models pull {MODEL}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(user: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user trusts the authority."""
    path = user / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(made)
    return made


@pytest.fixture
def secure(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """The hub, by its name and over TLS."""
    with serving(authority.issue_cert("localhost"), monkeypatch) as hub:
        yield hub


@contextmanager
def serving(certificate: trustme.LeafCert, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with LocalHub({HUB_ID: model_files()}, tls=context(certificate)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


def told(done: Done, *words: str) -> None:
    """One sentence for a line that doesn't work, and what to do."""
    assert_refused(done, *words)
    assert "Traceback" not in done.stderr


# --- certificates -------------------------------------------------------------------------------


def test_an_authority_of_ones_own_is_trusted_by_its_file(
    secure: LocalHub, trusted: Path, user: Path
) -> None:
    done = pull("--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert state(user) == "installed"


def test_an_unknown_authority(secure: LocalHub) -> None:
    told(pull(), "The certificate of localhost is signed by nobody", "SSL_CERT_FILE", AGAIN)


@pytest.mark.parametrize(
    ("name", "begin", "end", "words"),
    [
        ("localhost", NOW - 2 * YEAR, NOW - YEAR, "has expired; see whether this machine's clock"),
        ("localhost", NOW + YEAR, NOW + 2 * YEAR, "isn't valid yet; see whether this machine's"),
        ("other.example", NOW - YEAR, NOW + YEAR, "is for another name; see HF_ENDPOINT"),
    ],
    ids=["expired", "early", "name"],
)
def test_a_certificate_that_is_not_good(
    authority: trustme.CA,
    trusted: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    begin: datetime.datetime,
    end: datetime.datetime,
    words: str,
) -> None:
    certificate = authority.issue_cert(name, not_before=begin, not_after=end)
    with serving(certificate, monkeypatch):
        told(pull(), f"The certificate of localhost {words}", AGAIN)


@pytest.mark.parametrize("contents", [None, b"", b"no certificate", "folder"])
def test_a_file_of_certificates_that_is_none(
    secure: LocalHub, user: Path, monkeypatch: pytest.MonkeyPatch, contents: bytes | str | None
) -> None:
    path = user / "authority.pem"
    if isinstance(contents, bytes):
        path.write_bytes(contents)
    elif contents:
        path.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    told(pull(), f"SSL_CERT_FILE names {path}", "holds no certificates", "PEM")


def test_https_where_there_is_only_http(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.address.replace("http:", "https:"))
    told(pull(), "127.0.0.1 doesn't speak TLS; see HF_ENDPOINT", AGAIN)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9x", "hub.example", "ftp://127.0.0.1", ":"])
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    told(pull(), address)


# --- proxies ------------------------------------------------------------------------------------


@pytest.fixture(params=["http", "https", "socks5", "socks5h"])
def proxy(request: pytest.FixtureRequest, authority: trustme.CA) -> Iterator[Proxy]:
    tls = context(authority.issue_cert("127.0.0.1")) if request.param == "https" else None
    with Proxy(request.param, tls) as made:
        yield made


@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy"])
def test_through_a_proxy(
    secure: LocalHub,
    trusted: Path,
    proxy: Proxy,
    user: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, proxy.address)
    done = pull("--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert set(proxy.passed) == {secure.address.removeprefix("https://")}


def test_through_a_proxy_without_tls(
    hub: LocalHub, trusted: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy.address)
    assert pull("--yes").returncode == 0
    assert proxy.passed


def test_no_proxy_for_this_host(
    secure: LocalHub, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert pull("--yes").returncode == 0


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_a_proxy_that_is_not_there(
    secure: LocalHub, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://me:tulip@127.0.0.1:9")
    done = pull()
    told(done, f"The proxy {scheme}://127.0.0.1:9 can't be reached", "unset HTTPS_PROXY", AGAIN)
    assert "tulip" not in done.stderr


def test_a_proxy_without_a_scheme_is_http(
    secure: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nowhere.invalid:3128")
    told(pull(), "The proxy http://nowhere.invalid:3128 can't be reached", AGAIN)


@pytest.mark.parametrize("address", ["socks4://127.0.0.1:9", "socks://me:tulip@h", "http://h:9x"])
def test_a_proxy_of_no_known_kind(
    secure: LocalHub, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", address)
    done = pull()
    told(done, "The proxy ", "can't be used; write HTTPS_PROXY or ALL_PROXY as http://HOST:PORT")
    assert "tulip" not in done.stderr


@pytest.mark.parametrize("hub_over_tls", [True, False])
def test_a_proxy_that_wants_a_password(
    secure: LocalHub,
    hub: LocalHub,
    trusted: Path,
    monkeypatch: pytest.MonkeyPatch,
    hub_over_tls: bool,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", (secure if hub_over_tls else hub).address)
    with Proxy("http", password="tulip") as proxy:  # noqa: S106
        monkeypatch.setenv("ALL_PROXY", proxy.address)
        told(pull(), f"The proxy {proxy.address} wants a name and a password", "NAME:PASSWORD@")
        monkeypatch.setenv("ALL_PROXY", f"http://user:tulip@{proxy.place}")
        assert pull("--yes").returncode == 0


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_refuses(
    secure: LocalHub, trusted: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    with Proxy(scheme, status=403) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.address)
        told(pull(), f"The proxy {proxy.address} refused", AGAIN)


def test_without_the_package_for_socks(
    secure: LocalHub, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (user / "without").mkdir()
    (user / "without" / "socksio.py").write_text("raise ImportError('no socksio')\n")
    monkeypatch.setenv("PYTHONPATH", str(user / "without"), prepend=":")
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    told(pull(), "The proxy socks5://127.0.0.1:9 needs socksio; run: ", '"httpx2[socks]"')
