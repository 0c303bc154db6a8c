"""The gateway's Model Context Protocol over standard input and output; needs the extra `mcp`."""
