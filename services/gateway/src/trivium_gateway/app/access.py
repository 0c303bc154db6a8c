"""Who may ask, and how much: where keys and usage are kept, and which settings would let strangers in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge
from trivium_serving.addresses import is_loopback

from trivium_gateway.access.audit import AuditLog
from trivium_gateway.access.key_store import KeyStore
from trivium_gateway.access.keyring import Access
from trivium_gateway.access.keys import given_key
from trivium_gateway.app.caches import store_of
from trivium_gateway.caching.results import CacheMetrics
from trivium_gateway.domain.names import DEFAULT_TENANT
from trivium_gateway.metering.kinds import STORED_KINDS, parse_setting
from trivium_gateway.metering.metrics import MeterMetrics
from trivium_gateway.metering.quotas import ANSWER_SECONDS, Quotas
from trivium_gateway.metering.redis_store import RedisMeterStore
from trivium_gateway.metering.store import FileMeterStore
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_gateway.access.tokens import TokenVerifier
    from trivium_gateway.metering.store import MeterStore
    from trivium_gateway.settings import GatewaySettings

_AUDIT = "gateway/audit"
_USAGE = "gateway/usage.sqlite"


def check_access(settings: GatewaySettings) -> None:
    """Refuses settings that let strangers do everything.

    Raises:
        ValueError: They do; or the key that they give, a quota, or the address of Redis or of an issuer, is none.
    """
    others = [listen for listen in (settings.grpc_listen, settings.http_listen) if not is_loopback(listen)]
    if settings.auth == "off" and others and settings.allow_anonymous != "yes":
        raise ValueError(
            f"others reach {' and '.join(others)}, and without keys everybody may read and delete everything. Set "
            "TRIVIUM_GATEWAY_AUTH=keys; or, if something before the gateway asks who comes, "
            "TRIVIUM_GATEWAY_ALLOW_ANONYMOUS=yes"
        )
    access_of(settings, AuditLog(None, CollectorRegistry()), CollectorRegistry())
    quotas_of(settings, CollectorRegistry())
    store_of(settings, CacheMetrics(CollectorRegistry()))


def access_of(settings: GatewaySettings, audit: AuditLog, registry: CollectorRegistry) -> Access:
    """Who may ask."""
    issuer_up = Gauge(
        "trivium_gateway_issuer_up",
        "Whether the keys by which tokens are signed could be fetched from their issuer when last tried.",
        registry=registry,
    )
    issuer_up.set(1)
    if settings.auth == "off":
        return Access.kept_in(None, audit)
    given = [given_key(settings.admin_key, DEFAULT_TENANT, frozenset(Scope))] if settings.admin_key else []
    store = KeyStore(settings.data_dir, settings.redis_url)
    return Access.kept_in(store, audit, given, _tokens(settings, issuer_up.set))


def _tokens(settings: GatewaySettings, note_up: Callable[[bool], None]) -> TokenVerifier | None:
    """Whose tokens are taken; the library that reads them is loaded only where any are."""
    if settings.auth != "oidc":
        return None
    if not settings.oidc_issuer or not settings.oidc_audience:
        raise ValueError(
            "TRIVIUM_GATEWAY_AUTH=oidc takes TRIVIUM_GATEWAY_OIDC_ISSUER, the address of who makes tokens, and "
            "TRIVIUM_GATEWAY_OIDC_AUDIENCE, for whom they make them"
        )
    from trivium_gateway.access.issuer import IssuerKeys
    from trivium_gateway.access.tokens import ClaimNames, TokenVerifier, scopes_named

    claims = ClaimNames(
        settings.oidc_tenant_claim, settings.oidc_user_claim, settings.oidc_groups_claim, settings.oidc_scopes_claim
    )
    scopes = scopes_named(settings.oidc_scopes)
    return TokenVerifier(IssuerKeys(settings.oidc_issuer, note_up), settings.oidc_audience, claims, scopes)


def quotas_of(settings: GatewaySettings, registry: CollectorRegistry) -> Quotas:
    """What is used, and how much of it may be; nothing of it where nobody has a key."""
    limits = {}
    for name in ("tenant_quota", "key_quota"):
        try:
            limits[name] = parse_setting(getattr(settings, name))
        except ValueError as error:
            raise ValueError(f"TRIVIUM_GATEWAY_{name.upper()}: {error}") from None
    store: MeterStore | None = None
    if settings.auth != "off":
        in_redis = RedisMeterStore(settings.redis_url, ANSWER_SECONDS) if settings.redis_url else None
        store = in_redis or FileMeterStore(settings.data_dir / _USAGE)
    if not set(STORED_KINDS).isdisjoint(limits["key_quota"]):
        raise ValueError("TRIVIUM_GATEWAY_KEY_QUOTA: what is stored is a tenant's, and is limited for all of its keys")
    return Quotas(store, MeterMetrics(registry), limits["tenant_quota"], limits["key_quota"])


def audit_of(settings: GatewaySettings, registry: CollectorRegistry) -> AuditLog:
    """Where it is noted who did what."""
    is_kept = settings.audit == "on" or (settings.audit == "auto" and settings.auth != "off")
    return AuditLog(settings.data_dir / _AUDIT if is_kept else None, registry, is_logged=settings.audit == "log")
