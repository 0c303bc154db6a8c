"""Makes what is stored equal to a source: a folder, or any address that fsspec knows.

```
with Trivium() as trivium:
    source = open_source("manuals")
    with Memory.of(source.uri, address="127.0.0.1:50050", collection="") as memory:
        synchronizer = Synchronizer(trivium, source, memory)
        report = synchronizer.run(synchronizer.plan())
```

Which document a file is, its uri says. What is stored says what has to be done, so that it is safe to break off, to
repeat, and to run twice at once; what is remembered on this machine only spares reading files that did not change.
"""

from trivium_client.sync.memory import Memory
from trivium_client.sync.planning import Deletions, Plan, TooManyDeletions
from trivium_client.sync.running import Synchronizer, SyncReport
from trivium_client.sync.sources import Source, SourceUnavailable, open_source

__all__ = [
    "Deletions",
    "Memory",
    "Plan",
    "Source",
    "SourceUnavailable",
    "SyncReport",
    "Synchronizer",
    "TooManyDeletions",
    "open_source",
]
