"""WhatsApp and voice campaigns as one stream of raw records."""

from random import Random

from tally.simulator.calls import bad_packets, voice
from tally.simulator.campaign import campaign
from tally.simulator.population import Size
from tally.simulator.records import RawRecord


def mixed(rng: Random, start_s: int, size: Size) -> list[RawRecord]:
    """Return raw records of WhatsApp and voice campaigns, each in order of arrival, including bad ones."""
    written, spoken = campaign(rng, start_s, size), voice(rng, start_s, size)
    for bad in bad_packets():
        spoken.insert(rng.randrange(len(spoken) + 1), bad)
    sources = [written] * len(written) + [spoken] * len(spoken)
    rng.shuffle(sources)
    following = {id(source): iter(source) for source in (written, spoken)}
    return [next(following[id(source)]) for source in sources]
