"""The documentation as a site: what MkDocs calls, and the pages that are made of the code."""
