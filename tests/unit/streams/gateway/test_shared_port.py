"""Laws of a shared port: gateways of one deployment share it, others are refused, and a claim ends."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tally.streams.dev.free_port import free_port
from tally.streams.gateway.shared_port import (
    LONGEST_HOST,
    Claim,
    PortOfAnother,
    claim,
    claims_in,
    deployment_of,
)

HOST = "127.0.0.1"


class Claiming:
    """Claims a port until the end of the test."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self.port = free_port(0)

    def __call__(self, deployment: str, host: str = HOST, port: int = 0) -> None:
        claimed = claim(port or self.port, host, deployment)
        assert claimed is not None
        self._closing.enter_context(claimed)


@pytest.fixture
def claiming() -> Iterator[Claiming]:
    with ExitStack() as closing:
        yield Claiming(closing)


def test_gateways_of_one_deployment_share_a_port_and_another_is_refused(claiming: Claiming) -> None:
    claiming("ours")
    claiming("ours")
    with pytest.raises(PortOfAnother):
        claiming("theirs")
    claiming("ours")


def test_a_refused_claim_and_one_that_has_ended_are_in_nobodys_way(claiming: Claiming) -> None:
    ended = claim(claiming.port, HOST, "ours")
    with pytest.raises(PortOfAnother):
        claiming("theirs")
    assert ended is not None
    ended.close()
    claiming("theirs")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", HOST, "gateway.example" * LONGEST_HOST])  # noqa: S104
def test_an_address_is_shared_with_itself_and_with_all(claiming: Claiming, host: str) -> None:
    claiming("ours", host)
    with pytest.raises(PortOfAnother):
        claiming("theirs", host)
    with pytest.raises(PortOfAnother):
        claiming("theirs", "0.0.0.0")  # noqa: S104


def test_another_port_or_another_address_is_free(claiming: Claiming) -> None:
    claiming("ours")
    claiming("theirs", "127.0.0.2")
    claiming("theirs", port=free_port(0))


def test_a_deployment_is_its_brokers_in_any_order_and_its_prefix() -> None:
    ours = deployment_of(["kafka-1:9092", "kafka-2:9092"], "p-")
    assert ours == deployment_of(["kafka-2:9092", "kafka-1:9092"], "p-")
    others = {deployment_of(["kafka-1:9092"], "p-"), deployment_of(["kafka-1:9092", "kafka-2:9092"], "")}
    assert ours not in others
    assert len(others) == 2


def test_names_of_others_are_no_claims() -> None:
    others = ["/run/x", "tally-gateway", "tally-gateway|x", "other|1|2|3", ""]
    assert claims_in(["tally-gateway|6069|127.0.0.1|d|0a", *others]) == [Claim(6069, HOST, "d")]
