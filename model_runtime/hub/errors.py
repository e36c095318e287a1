"""What can go wrong between here and a model hub, each as one sentence that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from filelock import Timeout
from huggingface_hub import constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from model_runtime.errors import HubError
from model_runtime.hub.catalogue import Model
from model_runtime.hub.line import PROXY_DENIED, denied, open_line, trouble

MAKE_ROOM = "free some, or set HF_HUB_CACHE to a folder on another disk"


def no_hub() -> HubError:
    return HubError(f"{constants.ENDPOINT} doesn't answer as a model hub does; see HF_ENDPOINT.")


@contextmanager
def explained(model: Model, revision: str) -> Iterator[None]:
    """Make one sentence of what can go wrong between here and the hub."""
    endpoint = constants.ENDPOINT
    again = f"run: codegeex-lsp models pull {model.name}"
    open_line()
    try:
        yield
    except OfflineModeIsEnabled as error:
        problem = f"HF_HUB_OFFLINE is set, so nothing is fetched; unset it and {again}"
        raise HubError(problem) from error
    except GatedRepoError as error:
        raise HubError(
            f"Accept the licence ({model.licence}) at {endpoint}/{model.hub}, set HF_TOKEN to a "
            f"token of yours and {again}"
        ) from error
    except RevisionNotFoundError as error:
        raise HubError(f"{model.hub} has no revision {revision} at {endpoint}.") from error
    except RepositoryNotFoundError as error:
        raise HubError(
            f"The hub at {endpoint} has no {model.hub}, or not for you; it may need HF_TOKEN."
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == PROXY_DENIED:
            raise HubError(f"{denied()} and {again}") from error
        raise HubError(
            f"The hub at {endpoint} answered with status {status}; later, {again}"
        ) from error
    except httpx2.HTTPError as error:
        raise HubError(f"{trouble(error)}; what came is kept, and then {again}") from error
    except httpx2.InvalidURL as error:
        raise no_hub() from error
    except Timeout as error:
        raise HubError(f"{model.name} is being fetched by another process.") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise HubError(f"The disk is full; {MAKE_ROOM} and {again}") from error
        raise HubError(
            f"{model.name} can't be fetched: {error.strerror or 'the line broke'}; {again}"
        ) from error
