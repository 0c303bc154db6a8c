"""Builds the search index of a shard's copy: `python -m trivium_qdrant_edge.optimize_shard PATH`, a child process.

The engine's `optimize` blocks for seconds to minutes and holds Python's global lock all the while.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

import qdrant_edge

_PR_SET_PDEATHSIG = 1
# A tenth of a core beside work that keeps all busy. Of the lowest, a seventieth, an index that is built while documents
# are embedded would be given up before it is there.
_LOW_PRIORITY = 10


def main() -> None:
    """Optimizes the shard in the folder that the first argument names; what breaks ends the process."""
    if sys.platform == "linux":  # elsewhere an orphan ends its work, on a copy that the next start deletes
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.nice(_LOW_PRIORITY)
    shard = qdrant_edge.EdgeShard.load(sys.argv[1])
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main()
