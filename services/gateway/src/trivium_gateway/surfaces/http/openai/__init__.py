"""OpenAI's API over Trivium's documents: chat, responses, embeddings, models and vector stores.

What a client sends for OpenAI's sake alone is passed over; what would change the result and cannot be done is refused.
What Trivium has beyond OpenAI stands beside it: options as further fields of the body, evidence in the field `trivium`.
"""

__all__: list[str] = []
