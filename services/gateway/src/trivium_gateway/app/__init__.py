"""Puts the gateway together from its settings, and runs it from start to end."""

from trivium_gateway.app.access import check_access
from trivium_gateway.app.process import GatewayProcess, run

__all__ = ["GatewayProcess", "check_access", "run"]
