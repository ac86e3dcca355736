"""One checkpoint for all ranks of a training: the first one's, with the others' random streams."""

from __future__ import annotations

from typing import Any

from autobalance.ranks import Ranks
from autobalance.training.checkpoint import Checkpoints, decode_state, encode_state

_OTHERS = "other ranks"


def newest_state(checkpoints: Checkpoints, ranks: Ranks) -> Any:
    """The state in the newest checkpoint, if any, read by the first rank for all of them.

    Raises
    ------
    ArtifactError
        If there are checkpoints but none can be read.
    """
    found = checkpoints.load() if ranks.first else None
    state = None if found is None else found[1]
    if ranks.size == 1:
        return state
    data = ranks.of_first(None if state is None else encode_state(state))
    return None if data is None else decode_state(data)


def streams_of_others(streams: dict[str, Any], ranks: Ranks) -> dict[str, Any]:
    """What a checkpoint holds beside the first rank's state: the random streams of the others."""
    if ranks.size == 1:
        return {}
    return {_OTHERS: [decode_state(data) for data in ranks.each(encode_state(streams))[1:]]}


def own_streams(state: dict[str, Any], ranks: Ranks) -> dict[str, Any] | None:
    """Find this rank's random streams in a checkpoint; ``None`` if fewer ranks have written it."""
    everyone = [state, *state.get(_OTHERS, [])]
    return everyone[ranks.number] if ranks.number < len(everyone) else None
