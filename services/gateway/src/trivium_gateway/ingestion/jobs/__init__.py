"""Ingestions that go on by themselves: kept on disk, run behind questions, and resumed after a crash."""

__all__: list[str] = []
