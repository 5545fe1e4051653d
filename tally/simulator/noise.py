"""Webhooks that no counter counts and that must not disturb any."""

from random import Random

from tally.simulator.population import BusinessNumber
from tally.simulator.records import Json
from tally.simulator.samples import sample, value_of
from tally.simulator.statuses import put_number

OF_THE_ACCOUNT = (
    "pywa__template_status_update__approved",
    "restfb__webhook-accountUpdate-verified",
)
OF_A_NUMBER = (
    "pywa__user_marketing_preferences__resume",
    "pywa__outgoing_message__text",
    "pywa__call_connect__user_initiated",
    "pywa__call_terminate__call_terminate",
    "restfb__webhook-incoming-message-system-bsuid",
    "metadoc__history__1",
)


def dashboard_test() -> Json:
    """Return the body that the button "Test" of the app dashboard sends; its ids and time never change."""
    body = sample("restfb__webhook-incoming-message-text")
    put_number(body, BusinessNumber("0", "123456123", "16505551111"))
    value = value_of(body)
    value["contacts"] = [{"profile": {"name": "test user name"}, "wa_id": "16315551181"}]
    value["messages"] = [
        {
            "from": "16315551181",
            "id": "ABGGFlA5Fpa",
            "timestamp": "1504902988",
            "type": "text",
            "text": {"body": "this is a text message"},
        }
    ]
    return body


def account_error(number: BusinessNumber) -> Json:
    """Return an error of the account, in `value.errors`, which belongs to no message."""
    body = sample("restfb__webhook-incoming-message-error")
    put_number(body, number)
    value = value_of(body)
    value["errors"] = value.pop("messages")[0]["errors"]
    value.pop("contacts")
    return body


def noise(rng: Random, numbers: tuple[BusinessNumber, ...], count: int) -> list[Json]:
    """Return `count` rounds of webhooks, each with one of every kind that no counter counts."""
    bodies = []
    for _ in range(count):
        number = rng.choice(numbers)
        account = sample(rng.choice(OF_THE_ACCOUNT))
        about_number = sample(rng.choice(OF_A_NUMBER))
        put_number(about_number, number)
        bodies += [dashboard_test(), account_error(number), account, about_number]
    return bodies
