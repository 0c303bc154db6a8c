"""The Model Context Protocol: the gateway as tools and documents for language models, at /mcp."""
