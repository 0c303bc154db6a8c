"""Usage and quotas by the SDK and by the command, from a gateway that asks for keys."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from e2e.keyed_gateway import KeyedGateway, running_keyed_gateway
from trivium_client import AsyncTrivium, InvalidRequest, Overloaded, PermissionDenied, Trivium
from trivium_client.cli.app import app
from typer.testing import CliRunner, Result

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedGateway]:
    """A gateway that asks for keys."""
    with running_keyed_gateway(tmp_path_factory.mktemp("data")) as running:
        yield running


def test_client_sets_a_quota_and_who_has_used_it_is_told(gateway: KeyedGateway) -> None:
    with Trivium(gateway.address, api_key=gateway.first_key) as operator:
        made = operator.create_key("bot", tenant="legal", scopes=["ingest"])
        quota = operator.set_quota({"requests": "2/d"}, tenant="legal", key_id=made.key.id)
        assert (quota.limits, quota.left, quota.own) == ({"requests": "2/d"}, {"requests": 2}, True)
        assert quota in operator.list_quotas(tenant="legal")
        with Trivium(gateway.address, api_key=made.text) as bot:
            for _ in range(2):
                list(bot.list_jobs())
            with pytest.raises(Overloaded) as caught:
                list(bot.list_jobs())
            assert caught.value.reason == "QUOTA_EXCEEDED"
            assert caught.value.metadata == {"limit": "2", "remaining": "0", "reset_seconds": "86400"}
            assert caught.value.retry_after_seconds == pytest.approx(43_200, abs=60)
            with pytest.raises(PermissionDenied):
                bot.usage()
        (used,) = [one for one in operator.usage(tenant="legal").usage if one.key_id == made.key.id]
        assert used.amounts == {"requests": 2}
        long_ago = datetime.now(UTC) - timedelta(days=30)
        assert operator.usage(begin=long_ago - timedelta(days=1), end=long_ago).usage == ()
        operator.set_quota({}, tenant="legal", key_id=made.key.id)
        with Trivium(gateway.address, api_key=made.text) as bot:
            list(bot.list_jobs())


async def test_async_client_is_told_what_is_wrong_with_a_limit(gateway: KeyedGateway) -> None:
    async with AsyncTrivium(gateway.address, api_key=gateway.first_key) as trivium:
        with pytest.raises(InvalidRequest, match="600/m"):
            await trivium.set_quota({"requests": "a lot"})
        assert "default" in [one.tenant for one in await trivium.list_quotas()]
        assert (await trivium.usage()).begin.day == 1


def test_command_sets_and_shows_quotas_and_usage(gateway: KeyedGateway) -> None:
    def invoked(*arguments: str) -> Result:
        environ = {"TRIVIUM_API_KEY": gateway.first_key, "TRIVIUM_GATEWAY": gateway.address}
        return CliRunner().invoke(app, arguments, env=environ)

    def run(*arguments: str) -> str:
        result = invoked(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    said = run("quota", "set", "requests=600/m", "pages=5000/d", "--tenant", "acme", "--weight", "2")
    assert said == "the tenant acme may use pages=5000/d (5000 left) requests=600/m (600 left)\n"
    assert "acme\t\t2\tpages=5000/d (5000 left) requests=600/m (600 left)" in run("quota")
    (listed,) = json.loads(run("quota", "list", "--tenant", "acme", "--json"))
    assert listed["limits"] == {"requests": "600/m", "pages": "5000/d"}
    run("jobs", "list")
    assert "default\t" in run("usage")
    report = json.loads(run("usage", "--json"))
    assert sum(one["requests"] for one in report["usage"] if one["tenant"] == "default") >= 1
    assert json.loads(run("usage", "--from", "2020-01-01", "--to", "2020-01-02", "--json"))["usage"] == []
    for arguments in (("quota", "set", "requests"), ("usage", "--from", "monday")):
        assert invoked(*arguments).exit_code == 2
