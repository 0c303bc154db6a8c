"""Trivium's answer writing service: a question and numbered passages in, a streamed and cited answer out.

Run it with `python -m trivium_generate`; its contract is `trivium.generate.v1`.
"""

__all__: list[str] = []
