"""The suite that every session client can be held to."""

from pathlib import Path

import anyio
from adapter import Client

from convtest import assert_conforms, check_client


def test_it_conforms(tmp_path: Path) -> None:
    async def results():
        return await check_client(Client, folder=tmp_path)

    found = anyio.run(results)
    assert_conforms(found)
    assert [one.case for one in found if one.status == "lacks"] == ["restore", "clear"]
