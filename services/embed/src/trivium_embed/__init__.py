"""The embedding service: texts in, vectors out.

Read it in this order: `settings` (what can be set), `servicer` (proto to domain and back), `embedder` (what the service
does), `limits` (what it refuses), `sharing` (what is not computed again), `dimensions` and `encodings` (shorter
vectors, and in fewer bytes), `pipeline` (how a stream is answered), `backends` (what computes),
`app` and `__main__` (how it is put together).
"""

__all__: list[str] = []
