"""Commands to paste, for people who try Tally by hand."""

from pathlib import Path

import tally.schemas
from tally.streams.settings import Settings

EXAMPLES = Path(tally.schemas.__file__).parent / "examples"
CAMPAIGN = "0b5e2c1e-7f7a-4a59-9d0e-2f3a4b5c6d7e"


def commands(settings: Settings, url: str) -> list[str]:
    """Return ready-to-paste commands; the password of an embedded database is in a file of the folder."""
    tally = f"TALLY_KAFKA_BOOTSTRAP={settings.kafka_bootstrap} tally"
    campaign = f"{url}/v1/tenants/t1/campaigns/{CAMPAIGN}"
    return [
        "",
        "publish the examples:",
        f"  {tally} publish {EXAMPLES}/send-results/*.json {EXAMPLES}/webhook-events/*.json",
        "read a campaign:",
        f"  curl -s {campaign} | python3 -m json.tool",
        "list campaigns, metrics, health:",
        f"  curl -s {url}/v1/tenants/t1/campaigns",
        f"  curl -s {url}/metrics",
        f"  curl -s {url}/health/ready",
        "look into Postgres:",
        "  psql \"$TALLY_POSTGRES_DSN\" -c 'SELECT * FROM tally.campaign_stats'",
        "what could not be counted:",
        f"  {tally} dead-letters list",
        "",
        "Ctrl-C stops everything.",
    ]
