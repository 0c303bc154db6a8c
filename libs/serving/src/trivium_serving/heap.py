"""Keeps the garbage collector from holding up a service."""

import gc


def freeze_heap() -> None:
    """Spares the collector what is loaded by now: going through all of it stops everything for a tenth of a second.

    To be called when a service has started, and again when it has loaded anything large.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
