"""How much a page of a list has where nobody says it: the same over gRPC and HTTP."""

DOCUMENTS_ON_A_PAGE = 100
FEEDBACK_ON_A_PAGE = 100
JOBS_ON_A_PAGE = 50
FAILURES_ON_A_PAGE = 100
"""Documents of one job that failed."""
