"""Rerank as its usual clients ask for it: in the dialects of Cohere, Jina and text-embeddings-inference (TEI)."""
