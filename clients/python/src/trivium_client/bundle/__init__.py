"""One archive with everything that an installation needs, for machines without a network."""
