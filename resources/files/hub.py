"""Check whether a file of the Hugging Face hub can be loaded, and say in one line why not."""

from typing import Literal

HUB_SECONDS = 10.0
"""Seconds without an answer after which the hub counts as out of reach."""


def hub_refusal(name: str, file: str, kind: Literal["model", "dataset"]) -> str | None:
    """Return why a file of a repository cannot be loaded and what to do, or None if it can.

    A cached file can be loaded. Otherwise one request goes to the hub; the hub's own client would
    retry for half a minute before it reports an error.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import (
        GatedRepoError,
        HTTPError,
        OfflineModeIsEnabled,
        RemoteEntryNotFoundError,
        RepositoryNotFoundError,
    )

    if try_to_load_from_cache(name, file, repo_type=kind):
        return None
    try:
        get_hf_file_metadata(hf_hub_url(name, file, repo_type=kind), timeout=HUB_SECONDS)
    except GatedRepoError:
        return "the hub gives it to those only who accepted its licence there: set HF_TOKEN"
    except RepositoryNotFoundError:
        return f"the hub has no such {kind}, or not for you: correct its name or set HF_TOKEN"
    except RemoteEntryNotFoundError:
        return f"on the hub it has no {file}: correct its name"
    except (HTTPError, OfflineModeIsEnabled) as error:
        cause = " ".join(str(error).split())
        return f"not cached here and the hub is out of reach ({cause}): set HF_HOME to a cache"
    return None
