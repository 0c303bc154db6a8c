"""The dashboard of embed."""

from __future__ import annotations

from panels import Dashboard, admission, encoder, process, rate, rpcs

EMBED = Dashboard(
    "embed",
    "embed",
    "Texts to vectors.",
    (
        *rpcs("embed"),
        rate("Texts", "trivium_embed_texts_total", "Embedded, a second.", "role", "short"),
        rate("Tokens", "trivium_embed_tokens_total", "Read, a second.", "role", "short"),
        *admission("embed"),
        *encoder("embed"),
        *process("embed"),
    ),
    job="embed",
)
