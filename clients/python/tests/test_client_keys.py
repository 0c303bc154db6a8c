"""Keys by the SDK and by the command, from a gateway that asks for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from e2e.keyed_gateway import KeyedGateway, running_keyed_gateway
from trivium_client import AsyncTrivium, InvalidRequest, NotFound, PermissionDenied, Trivium, Unauthenticated
from trivium_client.cli.app import app
from typer.testing import CliRunner, Result

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedGateway]:
    """A gateway that asks for keys."""
    with running_keyed_gateway(tmp_path_factory.mktemp("data")) as running:
        yield running


def test_client_makes_lists_rotates_and_revokes_keys(gateway: KeyedGateway) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=90)
    with Trivium(gateway.address, api_key=gateway.first_key) as trivium:
        made = trivium.create_key("bot", tenant="legal", scopes=["read"], user="ann", groups=["hr"], expires_at=end)
        assert (made.key.tenant, made.key.scopes, made.key.user, made.key.groups) == (
            "legal",
            ("read",),
            "ann",
            ("hr",),
        )
        assert made.key.expires_at == end
        assert made.key in trivium.list_keys()
        with Trivium(gateway.address, api_key=made.text) as bot, pytest.raises(PermissionDenied, match="admin"):
            bot.list_keys()
        anew = trivium.rotate_key(made.key.id, grace_seconds=0)
        for text, error in ((made.text, Unauthenticated), (anew.text, PermissionDenied)):
            with Trivium(gateway.address, api_key=text) as bot, pytest.raises(error):
                bot.list_keys()
        trivium.revoke_key(made.key.id)
        with pytest.raises(NotFound):
            trivium.revoke_key(made.key.id)


async def test_async_client_sends_the_key_of_the_environment(
    gateway: KeyedGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncTrivium(gateway.address) as nobody:
        with pytest.raises(Unauthenticated, match="tv_"):
            await nobody.list_keys()
    monkeypatch.setenv("TRIVIUM_API_KEY", gateway.first_key)
    async with AsyncTrivium(gateway.address) as trivium:
        assert (await trivium.list_keys())[0].name == "first"


def test_key_that_is_none_is_refused_unrepeated(gateway: KeyedGateway) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Trivium(gateway.address, api_key="tv_\u2026hidden")
    assert "hidden" not in str(caught.value)


def test_command_makes_lists_rotates_and_revokes_keys(gateway: KeyedGateway) -> None:
    def invoked(*arguments: str, key: str = gateway.first_key) -> Result:
        environ = {"TRIVIUM_API_KEY": key, "TRIVIUM_GATEWAY": gateway.address}
        return CliRunner().invoke(app, ["keys", *arguments], env=environ)

    def run(*arguments: str) -> str:
        result = invoked(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    text = run("create", "bot", "--tenant", "legal", "--scope", "read", "--scope", "ingest", "--expires", "90d").strip()
    listed = json.loads(run("list", "--json"))
    (key_id,) = [one["id"] for one in listed if one["name"] == "bot" and one["tenant"] == "legal" and one["expires_at"]]
    assert text.startswith(f"tv_{key_id}_")
    assert f"{key_id}\tbot\tlegal\tingest read" in run()
    assert json.loads(run("rotate", key_id, "--grace", "0s", "--json"))["key"].startswith(f"tv_{key_id}_")
    assert isinstance(invoked(key=text).exception, Unauthenticated)
    run("revoke", key_id)
    assert isinstance(invoked("revoke", key_id).exception, NotFound)
    assert invoked("create", "bot", "--expires", "soon").exit_code == 2
