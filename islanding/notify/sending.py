"""Tells everybody whom a notify.yaml names, each tried again within bounds; what failed is said and never raised."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from islanding.errors import IslandingError
from islanding.notify.config import Notify
from islanding.notify.senders import Failed, MailSender, Refused, Sender, SnsSender, WebhookSender
from islanding.wait import WaitTimeout, wait_until

LONGEST_PAUSE = 60.0  # seconds
Pause = Callable[[float], None]


@dataclass(frozen=True)
class Told:
    """What came of one notification: `trouble` is empty when it got through."""

    name: str
    tries: int
    trouble: str = ""

    def __str__(self) -> str:
        tries = "try" if self.tries == 1 else "tries"
        return f"{self.name}: {self.trouble or 'told'} ({self.tries} {tries})"


def senders(conf: Notify) -> tuple[Sender, ...]:
    """Everybody who is to be told."""
    return (
        *map(WebhookSender, conf.webhooks),
        *map(MailSender, conf.mail),
        *map(SnsSender, conf.sns),
    )


def tell(conf: Notify, told: dict[str, Any], pause: Pause | None = None) -> list[Told]:
    """Send the message to everybody at once, in the order of the file."""
    everybody = senders(conf)
    with ThreadPoolExecutor(max_workers=max(1, min(8, len(everybody)))) as pool:
        return list(pool.map(lambda sender: attempt(sender, conf, told, pause or _pause), everybody))


def attempt(sender: Sender, conf: Notify, told: dict[str, Any], pause: Pause) -> Told:
    """Try one sender up to `conf.tries` times, waiting `conf.backoff` seconds, then twice that, and so on."""
    trouble = ""
    for number in range(1, conf.tries + 1):
        try:
            sender.send(told, conf.timeout)
            return Told(sender.name, number)
        except Failed as error:
            trouble = str(error)
        except Refused as error:
            return Told(sender.name, number, f"refused: {error}")
        except IslandingError as error:  # a secret that is not there
            return Told(sender.name, number, error.what)
        except Exception as error:  # a notification never ends a run, whatever is wrong with it; no words: secrets
            return Told(sender.name, number, f"not sent: {type(error).__name__}")
        if number < conf.tries:
            pause(min(LONGEST_PAUSE, conf.backoff * 2 ** (number - 1)))
    return Told(sender.name, conf.tries, f"not reached: {trouble}")


def _pause(seconds: float) -> None:
    try:
        wait_until("the next try", lambda: False, timeout=seconds, interval=seconds)
    except WaitTimeout:
        return
