"""The reranking service: a query and passages in, an order and scores out.

Read it in this order: `settings` (what can be set), `servicer` (proto to domain and back), `reranker` (what the service
does), `limits` (what it refuses), `backends` (what computes), `sharing` and `result_cache` (nothing is
computed twice), `maxsim` (late interaction), `app` and `__main__` (how it is put together).
"""

__all__: list[str] = []
