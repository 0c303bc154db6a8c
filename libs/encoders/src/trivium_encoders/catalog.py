"""What models need that their files do not say: from the catalog, which other parts read as well."""

from trivium_catalog import Prompts, missing_prompts

__all__ = ["Prompts", "missing_prompts"]
