"""Whether the Hugging Face hub gives what is asked of it, told at once and in one line."""

from typing import Literal

HUB_SECONDS = 10.0
"""How long the hub may take to answer before it counts as out of reach."""


def hub_refusal(name: str, file: str, kind: Literal["model", "dataset"]) -> str | None:
    """Return why a file of a repository cannot be had here, and the way out; null if it can.

    What is cached can be had. The hub is asked once, as its own client would try for half a
    minute before it says anything.
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
