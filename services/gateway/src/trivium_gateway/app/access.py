"""Who may ask: where keys are kept, and which settings would let strangers in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from trivium_serving.addresses import is_loopback

from trivium_gateway.access.audit import AuditLog
from trivium_gateway.access.key_store import KeyStore
from trivium_gateway.access.keyring import Access
from trivium_gateway.access.keys import given_key
from trivium_gateway.domain.names import DEFAULT_TENANT
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from trivium_gateway.settings import GatewaySettings

_AUDIT = "gateway/audit"


def check_access(settings: GatewaySettings) -> None:
    """Refuses settings that let strangers do everything.

    Raises:
        ValueError: They do; or the key that they give, or the address of Redis, is none.
    """
    others = [listen for listen in (settings.grpc_listen, settings.http_listen) if not is_loopback(listen)]
    if settings.auth == "off" and others and settings.allow_anonymous != "yes":
        raise ValueError(
            f"others reach {' and '.join(others)}, and without keys everybody may read and delete everything. Set "
            "TRIVIUM_GATEWAY_AUTH=keys; or, if something before the gateway asks who comes, "
            "TRIVIUM_GATEWAY_ALLOW_ANONYMOUS=yes"
        )
    access_of(settings, AuditLog(None, CollectorRegistry()))


def access_of(settings: GatewaySettings, audit: AuditLog) -> Access:
    """Who may ask."""
    if settings.auth == "off":
        return Access.kept_in(None, audit)
    given = [given_key(settings.admin_key, DEFAULT_TENANT, frozenset(Scope))] if settings.admin_key else []
    return Access.kept_in(KeyStore(settings.data_dir, settings.redis_url), audit, given)


def audit_of(settings: GatewaySettings, registry: CollectorRegistry) -> AuditLog:
    """Where it is noted who did what."""
    is_kept = settings.audit == "on" or (settings.audit == "auto" and settings.auth != "off")
    return AuditLog(settings.data_dir / _AUDIT if is_kept else None, registry, is_logged=settings.audit == "log")
