"""The reranking service: a query and passages in, an order and scores out.

Read it in this order: `settings` (what can be set), `servicer` (proto to domain and back), `reranker` (what the service
does), `passages` and `limits` (what comes in, and what is refused), `backends` (what computes), `maxsim` (late
interaction), `app` and `__main__` (how it is put together). Nothing is computed twice: `trivium_model_service.sharing`.
"""

__all__: list[str] = []
