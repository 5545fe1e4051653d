"""Poll a campaign as a dashboard does, once a second, and print its numbers with the state of the receipt.

    TALLY_API_KEY=tally_... python examples/poller.py http://127.0.0.1:6066 example my-campaign 10

`live`: the numbers hold everything that reached the raw topics before `as_of`. `catching_up`: they are right
as of `as_of`, and newer events are not counted yet. `incomplete`: something is missing, and the receipt says
what. docs/dashboards.md has the rest.
"""

import asyncio
import os
import sys
from typing import Any

import aiohttp

PAUSE_SECONDS = 1.0
TIMEOUT = aiohttp.ClientTimeout(total=10)
SAID = {
    "live": "everything before {as_of} is counted",
    "catching_up": "right as of {as_of}; more is on its way",
    "incomplete": "too low: {incomplete}",
    "incomplete_acknowledged": "too low, as is known: {incomplete_acknowledged}",
}


def told(answer: dict[str, Any]) -> str:
    """Return the numbers and the state of an answer as one line of text."""
    receipt, totals = dict(answer["receipt"]), answer["totals"]
    receipt["as_of"] = receipt["as_of"] or "a moment that is not known yet"
    numbers = ", ".join(
        f"{name} {totals[name]}" for name in ("accepted", "sent", "delivered", "read", "failed")
    )
    return f"{numbers} ({SAID[receipt['state']].format_map(receipt)})"


async def main(url: str, tenant: str, campaign: str, seconds: float) -> None:
    """Print a line whenever the numbers change."""
    address = f"{url}/v1/tenants/{tenant}/campaigns/{campaign}"
    headers = {"Authorization": f"Bearer {os.environ['TALLY_API_KEY']}"}
    until = asyncio.get_running_loop().time() + seconds
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        while asyncio.get_running_loop().time() < until:
            try:
                async with session.get(address, headers=headers) as response:
                    if response.status == 200:
                        # With this tag, the answer is 304 without a body until a number changes.
                        headers["If-None-Match"] = response.headers["ETag"]
                        print(told(await response.json()), flush=True)
                    elif response.status == 404:
                        print("nothing is counted for this campaign yet", flush=True)
                    elif response.status != 304:
                        response.raise_for_status()
            except (aiohttp.ClientError, TimeoutError) as error:
                print(f"no answer ({type(error).__name__}); asking again", flush=True)
            await asyncio.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4])))
