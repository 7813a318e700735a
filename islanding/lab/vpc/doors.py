"""At which addresses the Region answers, from what EC2 holds. Pure and total: no state makes it raise."""

from __future__ import annotations

from islanding.lab.vpc import labels, service_names
from islanding.lab.vpc.door import Door
from islanding.lab.vpc.index import Index
from islanding.lab.vpc.outside import AWS, Outside
from islanding.lab.vpc.state import Ec2State

S3 = "s3"


def doors(state: Ec2State, outside: Outside) -> tuple[Door, ...]:
    """The doors of AWS: its public addresses, then one for each address of each endpoint that is available.

    A gateway endpoint's doors are S3's own addresses in the endpoint's namespace, which is there when the data plane
    has made it; an interface endpoint's are the first addresses of its interfaces, with that endpoint's service alone.
    """
    index = Index(state)
    found = [Door(AWS, outside.api), *(Door(AWS, address, services=(S3,)) for address in outside.s3)]
    for endpoint in index.gateway_endpoints.values():
        if endpoint.vpc in index.vpcs:
            found += [Door(endpoint.id, address, endpoint.id, (S3,)) for address in outside.s3]
    for endpoint in state.endpoints:
        service = service_names.short(endpoint.service)
        if endpoint.kind != "interface" or endpoint.state != "available" or not service:
            continue
        for name in endpoint.interfaces:
            card = index.cards.get(name)
            if card is not None and card.host == name and labels.address(card.addresses[0]):
                found.append(Door(name, card.addresses[0], endpoint.id, (service,)))
    return tuple(dict.fromkeys(found))
