"""The guardrails as decisions over what was found: each refusal names its guardrail, what was found, what to change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from islanding.guard.confirmation import Confirmation
from islanding.guard.touching import GROUP, Touched
from islanding.guardconf import DAYS, Guardrails
from islanding.model import Site

TAG, ALLOWED = "islanding:faults", "allowed"


@dataclass(frozen=True)
class Refusal:
    """One guardrail that says no."""

    guardrail: str
    found: str
    change: str

    def __str__(self) -> str:
        return f"guardrail {self.guardrail}: {self.found}"


@dataclass(frozen=True)
class Found:
    """What was found out before a fault: all that the rules decide by.

    `held` is what faults touch that are applied already; `account` is whose credentials they are; `tags` has the value
    of the tag by resource, for those that have it; `states` those of alarms, by name. `confirmed` is a confirmation, or
    why there is none.
    """

    kind: str
    touched: Touched
    now: datetime
    held: tuple[Touched, ...] = ()
    account: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, str] = field(default_factory=dict)
    confirmed: Confirmation | str = ""
    watched: bool = False  # whether something looks at the stop conditions from now on
    stopped: str = ""  # the stop condition that has come true before


def refusals(site: Site, found: Found) -> tuple[Refusal, ...]:
    """Every guardrail of the site that refuses the fault; none when it may be applied. Pure."""
    rails = site.guardrails
    rules = (
        _place(site, found),
        _marks(found),
        _size(rails, found),
        _hours(rails, found),
        _production(site, found),
        _stops(rails, found),
    )
    return tuple(refusal for rule in rules for refusal in rule)


def _place(site: Site, found: Found) -> Iterator[Refusal]:
    """Account and Region are among those allowed: by default the site's own alone."""
    if not found.touched.calls_aws:
        return
    accounts = site.guardrails.accounts or (site.aws.account,)
    regions = site.guardrails.regions or (site.aws.region,)
    for account in dict.fromkeys((found.account, site.aws.account)):
        if account not in accounts:
            what = f"account {account or '(unknown)'} is not among {', '.join(accounts)}"
            yield Refusal("accounts", what, "use other credentials, or add it to guardrails.accounts of the site")
    if site.aws.region not in regions:
        what = f"Region {site.aws.region} is not among {', '.join(regions)}"
        yield Refusal("regions", what, "add it to guardrails.regions of the site")


def _marks(found: Found) -> Iterator[Refusal]:
    """Each resource bears the tag: what nobody has marked is not touched."""
    bare = [id for id in found.touched.resources if found.tags.get(id) != ALLOWED]
    if bare:
        listed = ", ".join(id.removeprefix(GROUP) + (f" ({found.tags[id]})" if id in found.tags else "") for id in bare)
        what = f"{listed} {'has' if len(bare) == 1 else 'have'} no tag {TAG}={ALLOWED}"
        yield Refusal("tag", what, f"give each the tag {TAG}={ALLOWED}, in its template, where faults may touch it")
    if found.touched.obscure:
        what = f"what {', '.join(found.touched.obscure)} would touch cannot be told before it is called"
        yield Refusal("tag", what, "name the resource by its id, or add the call to islanding/guard/touching.py")


def _size(rails: Guardrails, found: Found) -> Iterator[Refusal]:
    """Not more is touched at once than was allowed, with what is held already."""
    both = (found.touched, *found.held)
    resources = dict.fromkeys(thing for one in both for thing in (*one.resources, *one.others))
    nodes = dict.fromkeys(node for one in both for node in one.nodes)
    for name, limit, things in (("resources", rails.resources, resources), ("nodes", rails.nodes, nodes)):
        if len(things) > limit:
            already = " with the faults that are applied already" if found.held else ""
            what = f"{len(things)} {name} would be touched{already}, and {limit} are allowed: {', '.join(things)}"
            yield Refusal(name, what, f"choose fewer, or raise guardrails.{name} of the site")


def _hours(rails: Guardrails, found: Found) -> Iterator[Refusal]:
    """It is a time at which faults are allowed, by the clocks of the zone that was named."""
    hours = rails.hours
    if hours is None:
        return
    there = found.now.astimezone(ZoneInfo(hours.zone))
    day, time = DAYS[there.weekday()], f"{there:%H:%M}"
    if day not in hours.days or not hours.start <= time < hours.end:
        when = f"{', '.join(hours.days)} from {hours.start} to {hours.end}"
        what = f"it is {day} {time} in {hours.zone}, and faults are allowed {when}"
        yield Refusal("hours", what, "come back then, or change guardrails.hours of the site")


def _production(site: Site, found: Found) -> Iterator[Refusal]:
    """On a site marked production somebody else has confirmed this fault, and not too long ago."""
    if site.guardrails.production is None:
        return
    people = ", ".join(site.guardrails.production.confirmers)
    ask = f"ask one of {people}: islanding confirm {site.id} --fault {found.kind} --key THEIR-KEY"
    if isinstance(found.confirmed, str):
        yield Refusal("production", found.confirmed or "nobody has confirmed this fault", ask)
        return
    wrong = found.confirmed.unfit(site.id, found.kind, found.now)
    if wrong:
        yield Refusal("production", f"the confirmation by {found.confirmed.by} {wrong}", ask)


def _stops(rails: Guardrails, found: Found) -> Iterator[Refusal]:
    """No stop condition holds already, and something watches them while the fault is held."""
    for stop in rails.stop:
        state = found.states.get(stop.alarm, "") if stop.alarm else "OK"
        if state != "OK":
            said = f"is {state}" if state else "is not there"
            yield Refusal("stop", f"alarm {stop.alarm} {said}", "wait until it is OK; nothing is broken before that")
    if found.stopped:
        yield Refusal("stop", found.stopped, "see why, then start another run")
    elif rails.stop and not found.watched:
        what = "the site has stop conditions, and nothing watches them here"
        yield Refusal("stop", what, "run it by `islanding run` or `islanding experiment run`")
