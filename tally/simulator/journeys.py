"""The story of one contact in one campaign, from the queue to a reply a week later."""

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from tally.simulator.population import DAY_S, TEMPLATES, Campaign, Person, Tenant
from tally.simulator.records import Timed
from tally.simulator.replies import Inbound, inbound_body, number_change_body, user_id_change_body
from tally.simulator.sends import FAILURES, REASONS, Attempt, result
from tally.simulator.statuses import Sent, call_status_body, echo_body, group_status_body, status_body
from tally.simulator.wamids import new_wamid

REPLY_WINDOW_S = 7 * DAY_S

# (weight, statuses with the earliest and latest seconds after acceptance)
FATES: tuple[tuple[int, tuple[tuple[str, int, int], ...]], ...] = (
    (30, (("sent", 0, 2), ("delivered", 1, 60), ("read", 30, 90_000))),
    (18, (("sent", 0, 2), ("delivered", 1, 60))),
    (5, (("sent", 0, 2),)),
    (2, ()),
    (8, (("sent", 0, 2), ("failed", 1, 600))),
    (4, (("failed", 0, 3),)),
    (4, (("sent", 0, 2), ("read", 2, 50))),  # Meta omits delivered if the message is read at once
    (2, (("read", 2, 50),)),
    (3, (("sent", 0, 2), ("delivered", 1, 60), ("failed", 61, 900))),
    (3, (("failed", 0, 10), ("delivered", 11, 5_000))),
    (4, (("sent", 0, 2), ("read", 5, 60), ("delivered", 3_600, 30 * DAY_S))),
    (2, (("sent", 0, 2), ("delivered", 1, 60), ("delivered", 61, 5_000), ("read", 61, 9_000))),
    (3, (("sent", 0, 2), ("delivered", 1, 60), ("read", 61, 500), ("played", 501, 900))),
    (1, (("sent", 0, 2), ("played", 3, 900))),
    (1, (("sent", 0, 2), ("delivered", 1, 60), ("deleted", 61, 900))),
    (1, (("sent", 0, 2), ("warning", 3, 9))),
    (1, (("pending", 0, 1), ("sent", 2, 3), ("some_status_of_next_year", 4, 9))),
    (2, (("delivered", -90, -2), ("read", -60, 60))),  # Meta's clock is not the producer's
    (2, (("failed", 2, 3), ("failed", 100, 200))),
)
REPLY_OFFSETS_S = (0, -1, REPLY_WINDOW_S, REPLY_WINDOW_S + 1, -365 * DAY_S)


@dataclass(slots=True)
class Script:
    """Everything produced so far: send results, webhook bodies of one update each, and messages."""

    rng: Random
    results: list[Timed] = field(default_factory=list)
    updates: list[Timed] = field(default_factory=list)
    sent: list[tuple[Sent, Attempt]] = field(default_factory=list)

    def _publish(self, attempt: Attempt, outcome: str, at_ms: int, **more: Any) -> None:
        self.results.append((at_ms // 1000, result(self.rng, attempt, outcome, at_ms, **more)))

    def play_contact(self, campaign: Campaign, contact: str | int, person: Person) -> None:
        """Play all attempts of one contact, and everything that follows from them."""
        template = self.rng.choice(campaign.templates) if campaign.templates else None
        start_ms = campaign.start_s * 1000 + self.rng.randrange(7_200_000)
        number = self.rng.choice(campaign.numbers)
        first = Attempt(campaign, contact, person, number, template, 1, start_ms)
        if self._play_attempt(first) == "failed" and self.rng.random() < 0.6:
            other = self.rng.choice(campaign.templates) if campaign.templates else None
            again: int | str = self.rng.choice((2, "2", "retry-2"))
            self._play_attempt(replace(first, template=other, attempt=again, start_ms=start_ms + 900_000))

    def _play_attempt(self, attempt: Attempt) -> str:
        rng = self.rng
        if rng.random() < 0.9:
            self._publish(attempt, "queued", attempt.start_ms)
        outcome = rng.choices(["accepted", "failed", "skipped", "cancelled", "queued"], [86, 6, 4, 2, 2])[0]
        at_ms = attempt.start_ms + rng.randrange(1, 4_000)
        match outcome:
            case "accepted":
                self._accept(attempt, at_ms)
            case "failed":
                self._publish(attempt, outcome, at_ms, error=dict(rng.choice(FAILURES)))
            case "skipped" | "cancelled":
                self._publish(attempt, outcome, at_ms, reason=rng.choice(REASONS))
            case _:
                self._publish(attempt, outcome, at_ms)
        return outcome

    def _accept(self, attempt: Attempt, at_ms: int) -> None:
        rng = self.rng
        self._send(attempt, at_ms)
        if rng.random() < 0.02:  # one attempt sends twice, because the first response came too late
            self._send(attempt, at_ms + 30_000)
        if rng.random() < 0.02:  # an earlier failure of the same attempt no longer counts
            self._publish(attempt, "failed", at_ms - 1, error=dict(FAILURES[1]))

    def _send(self, attempt: Attempt, at_ms: int) -> None:
        rng, person = self.rng, attempt.person
        peer = person.user_id if person.kind == "scoped_only" else person.wa_id
        sent = Sent(
            attempt.number,
            person,
            new_wamid(rng, peer),
            at_ms // 1000,
            attempt.template.category if attempt.template else "service",
            rng.randrange(12),
        )
        self._publish(attempt, "accepted", at_ms, message_id=sent.message_id)
        self.sent.append((sent, attempt))
        self._progress(sent)
        if attempt.campaign.campaign is not None:
            self._answer(sent)

    def _progress(self, sent: Sent) -> None:
        fate = self.rng.choices([path for _, path in FATES], weights=[weight for weight, _ in FATES])[0]
        for status, earliest_s, latest_s in fate:
            at_s = sent.accepted_s + self.rng.randint(earliest_s, latest_s)
            self.updates.append((at_s, status_body(self.rng, sent, status, at_s)))

    def _answer(self, sent: Sent) -> None:
        rng, person = self.rng, sent.person
        if rng.random() > 0.3:
            return
        for _ in range(rng.choice([1, 1, 2])):
            offset_s = rng.choice(REPLY_OFFSETS_S) if rng.random() < 0.3 else rng.randint(5, 9 * DAY_S)
            quoted_id = sent.spelt(rng) if rng.random() < 0.4 else None
            wamid = new_wamid(rng, person.wa_id)
            said = Inbound(sent.number, person, wamid, sent.accepted_s + offset_s, quoted_id)
            if person.kind in ("new_number", "new_user_id") and offset_s > DAY_S:
                self._become(said)
                said = replace(said, is_later=True)
            self.updates.append((said.at_s, inbound_body(rng, said)))

    def _become(self, said: Inbound) -> None:
        if said.person.kind == "new_number":
            body = number_change_body(
                said.number, said.person, new_wamid(self.rng, said.person.wa_id), said.at_s - 60
            )
        else:
            body = user_id_change_body(said.number, said.person, said.at_s - 60)
        self.updates.append((said.at_s - 60, body))

    def play_conflicts(self, tenant: Tenant) -> None:
        """Claim some messages a second time, later: by another campaign, or as a service message."""
        rng = self.rng
        for sent, attempt in rng.sample(self.sent, len(self.sent) // 50):
            claimant = replace(rng.choice(tenant.campaigns), campaign=None) if rng.random() < 0.3 else None
            thief = replace(attempt, campaign=claimant or rng.choice(tenant.campaigns), attempt="claims-too")
            at_ms = sent.accepted_s * 1000 + rng.choice([1_000, 90_000])
            self._publish(thief, "accepted", at_ms, message_id=sent.message_id)

    def play_service(self, tenant: Tenant, count: int) -> None:
        """Play messages of no campaign; half of them have no send result, and most of these an echo."""
        rng = self.rng
        service = replace(tenant.campaigns[0], campaign=None)
        for _ in range(count):
            someone = rng.choice(tenant.people)
            at_ms = service.start_s * 1000 + rng.randrange(10 * DAY_S * 1000)
            template = rng.choice(TEMPLATES) if rng.random() < 0.3 else None
            attempt = Attempt(service, "unused", someone, rng.choice(tenant.numbers), template, 1, at_ms)
            known = len(self.results)
            self._send(attempt, at_ms)
            if rng.random() < 0.5:
                del self.results[known:]
                if rng.random() < 0.7:
                    sent, _ = self.sent[-1]
                    self.updates.append((sent.accepted_s, echo_body(rng, sent)))

    def play_strange(self, tenant: Tenant) -> None:
        """Play group receipts and call statuses with the ids of campaign messages."""
        rng = self.rng
        for sent, _ in rng.sample(self.sent, len(self.sent) // 50):
            at_s = sent.accepted_s + rng.randrange(1, 900)
            self.updates.append((at_s, group_status_body(rng, sent, rng.choice(tenant.people), at_s)))
            self.updates.append((at_s, call_status_body(sent, at_s, rng.choice(["calls", "messages"]))))
