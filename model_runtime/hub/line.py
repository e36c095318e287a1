"""The way to the hub: proxies and certificates, and what is wrong with them in one sentence.

The user's variables say both (HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE); httpx2 reads them,
and takes the system's own certificates where they name none. It knows no model; errors.py calls
it.
"""

from __future__ import annotations

import os
import ssl
import urllib.parse
import urllib.request
from collections.abc import Iterator

import httpx2
from huggingface_hub import constants
from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

from model_runtime import installing
from model_runtime.errors import HubError

PROXY_DENIED = 407
# Of OpenSSL's X509_V_ERR_*: what a certificate can be beside unknown.
EXPIRED, NOT_YET_VALID, OTHER_NAME, OTHER_ADDRESS = 10, 9, 62, 64


def open_line() -> None:
    """Make the client that fetches. Raises HubError for variables that it can't work with."""
    try:
        get_session()
    except ImportError as error:
        needed = installing.command("httpx2[socks]")
        raise HubError(f"The proxy {_proxy()} needs socksio; run: {needed}") from error
    except OSError as error:  # ssl.SSLError is one
        raise HubError(
            f"SSL_CERT_FILE names {os.environ.get('SSL_CERT_FILE')}, which holds no certificates "
            "that can be read; name the PEM file of the one to be trusted, or unset it."
        ) from error
    except (ValueError, httpx2.InvalidURL) as error:
        raise HubError(
            f"The proxy {_proxy()} can't be used; write {_variables()} as http://HOST:PORT, "
            "https://HOST:PORT or socks5://HOST:PORT."
        ) from error


def trouble(error: httpx2.HTTPError) -> str:
    """What is wrong between here and the hub and what to do, without a full stop."""
    tls = next((one for one in _causes(error) if isinstance(one, ssl.SSLError)), None)
    if isinstance(tls, ssl.SSLCertVerificationError):
        return _distrusted(_host(error), tls.verify_code)
    if tls is not None:
        return f"{_host(error)} doesn't speak TLS; see HF_ENDPOINT and {_variables()}"
    if isinstance(error, httpx2.ProxyError):
        return denied() if str(PROXY_DENIED) in str(error) else f"The proxy {_proxy()} refused"
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) and (proxy := _proxy()):
        return f"The proxy {proxy} can't be reached; correct or unset {_variables()}"
    return f"The hub at {constants.ENDPOINT} can't be reached or the line broke"


def denied() -> str:
    """The proxy asks who we are."""
    return (
        f"The proxy {_proxy()} wants a name and a password; write {_variables()} as "
        "http://NAME:PASSWORD@HOST:PORT"
    )


def _distrusted(host: str, code: int) -> str:
    if code in (EXPIRED, NOT_YET_VALID):
        when = "has expired" if code == EXPIRED else "isn't valid yet"
        return f"The certificate of {host} {when}; see whether this machine's clock is right"
    if code in (OTHER_NAME, OTHER_ADDRESS):
        return f"The certificate of {host} is for another name; see HF_ENDPOINT and {_variables()}"
    return (
        f"The certificate of {host} is signed by nobody that this machine trusts; if your network "
        "has a certificate of its own, set SSL_CERT_FILE to its PEM file"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _host(error: httpx2.HTTPError) -> str:
    try:
        return str(error.request.url.host)
    except RuntimeError:  # it has none
        return urllib.parse.urlsplit(constants.ENDPOINT).hostname or constants.ENDPOINT


def _proxy() -> str:
    """The proxy on the way to the hub, without name and password; "" for none."""
    hub = urllib.parse.urlsplit(constants.ENDPOINT)
    known = urllib.request.getproxies()
    address = known.get(hub.scheme) or known.get("all") or ""
    if not address or urllib.request.proxy_bypass(hub.hostname or ""):
        return ""
    scheme, _, rest = address.rpartition("://")
    return f"{scheme or 'http'}://{rest.rpartition('@')[2]}"


def _variables() -> str:
    scheme = urllib.parse.urlsplit(constants.ENDPOINT).scheme.upper()
    return f"{scheme}_PROXY or ALL_PROXY"
