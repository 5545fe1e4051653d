"""A cluster of embedded brokers, to show what one broker cannot, such as a change of leader."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from tally.deploy.local.kafka import LocalKafka
from tally.deploy.local.kafka_config import Node, kafka_uuid
from tally.deploy.local.ports import choose_port
from tally.deploy.local.server import START_DEADLINE_SECONDS, Say, silent

HEAP_MB = 256
"""Small, since several nodes share a machine with other work."""
CONTROLLER_NODE_ID = 100
PLAN = "cluster.json"


class LocalCluster:
    """Several embedded brokers that form one cluster; each can be stopped and started alone."""

    name = "kafka cluster"

    def __init__(self, brokers: Sequence[LocalKafka], controller: LocalKafka | None) -> None:
        self.brokers = list(brokers)
        self.controller = controller
        """The controller, if it is a separate node; else the brokers are controllers as well."""

    @property
    def bootstrap(self) -> str:
        """`host:port` of each broker, comma-separated, for clients."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    @property
    def adopted(self) -> bool:
        """Whether an earlier start began all nodes."""
        return all(node.adopted for node in self._nodes)

    @classmethod
    def start(
        cls,
        folder: Path,
        brokers: int = 3,
        controller_apart: bool = False,
        deadline_seconds: float = START_DEADLINE_SECONDS,
        say: Say = silent,
    ) -> Self:
        """Start all nodes of a folder together, or adopt those that run. Raises as LocalKafka.start does.

        The first start draws ports and ids, and keeps them and the number of brokers in the folder.
        """
        folder.mkdir(parents=True, exist_ok=True)
        classes = _node_classes(_plan(folder / PLAN, brokers, controller_apart))
        # In parallel, because no node is ready before most are: a single controller has no quorum.
        with ThreadPoolExecutor(len(classes)) as pool:
            starts = [pool.submit(kind.start, folder, port, deadline_seconds, say) for kind, port in classes]
            try:
                nodes = [start.result() for start in starts]
            except BaseException:
                _stop_all([start.result() for start in starts if start.exception() is None])
                raise
        return cls._of(nodes)

    @classmethod
    def _of(cls, nodes: Sequence[LocalKafka]) -> Self:
        apart = [node for node in nodes if not node.node.is_broker]
        return cls([node for node in nodes if node.node.is_broker], apart[0] if apart else None)

    @classmethod
    def adopt(cls, folder: Path) -> Self | None:
        """Return the running nodes of a folder's cluster, whichever start began them; None if none runs."""
        path = folder / PLAN
        if not path.exists():
            return None
        classes = _node_classes(json.loads(path.read_text(encoding="utf-8")))
        nodes = [node for kind, _ in classes if (node := kind.adopt(folder)) is not None]
        return cls._of(nodes) if nodes else None

    def stop(self) -> None:
        """Stop all nodes gracefully."""
        _stop_all(self._nodes)

    @property
    def _nodes(self) -> list[LocalKafka]:
        return [*self.brokers, *([self.controller] if self.controller else [])]


def _stop_all(nodes: Sequence[LocalKafka]) -> None:
    """Stop all brokers, and then a separate controller, which brokers need for a graceful stop."""
    for some in ([n for n in nodes if n.node.is_broker], [n for n in nodes if not n.node.is_broker]):
        with ThreadPoolExecutor(max(len(some), 1)) as pool:
            stops: list[Future[None]] = [pool.submit(node.stop) for node in some]
            for stop in stops:
                stop.result()


def _plan(path: Path, brokers: int, controller_apart: bool) -> dict[str, Any]:
    """Return the ids and ports of a folder's cluster; the first call draws and stores them."""
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    taken: set[int] = set()

    def port() -> int:
        while (chosen := choose_port("Kafka", 0, 0)) in taken:
            pass
        taken.add(chosen)
        return chosen

    plan = {
        "cluster_id": kafka_uuid(),
        "brokers": [
            [node_id, port(), 0 if controller_apart else port()] for node_id in range(1, brokers + 1)
        ],
        "controller": [CONTROLLER_NODE_ID, port()] if controller_apart else None,
    }
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(plan), encoding="utf-8")
    os.replace(draft, path)
    return plan


def _node_classes(plan: dict[str, Any]) -> list[tuple[type[LocalKafka], int]]:
    """Return each node's class and port; the class names the node's folder."""
    brokers, controller = plan["brokers"], plan["controller"]
    apart = [tuple(controller)] if controller else []
    voters = tuple(apart or [(node_id, controller_port) for node_id, _, controller_port in brokers])
    roles = "broker" if controller else "broker,controller"
    nodes = [
        (Node(node_id, roles, len(brokers), voters, plan["cluster_id"], HEAP_MB), port)
        for node_id, port, _ in brokers
    ]
    nodes += [
        (Node(node_id, "controller", len(brokers), voters, plan["cluster_id"], HEAP_MB), port)
        for node_id, port in apart
    ]
    return [
        (type("ClusterNode", (LocalKafka,), {"name": f"kafka-{node.node_id}", "node": node}), port)
        for node, port in nodes
    ]
