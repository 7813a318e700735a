"""The AWS Region of a lab: moto behind real host names, TLS and signatures, with what moto lacks."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

from islanding.lab.region import admission, hostnames, mends, metadata, signature, sts
from islanding.lab.region.cloudformation.api import CloudFormation
from islanding.lab.region.ecr import Ecr
from islanding.lab.region.eks import Eks
from islanding.lab.region.errors import AwsError, adapt, render
from islanding.lab.region.forward import Forwarder
from islanding.lab.region.hostnames import Target
from islanding.lab.region.http import HttpServer, Request, Response
from islanding.lab.region.idempotency import Tokens
from islanding.lab.region.instances import Instances, InstanceState
from islanding.lab.region.manners import Manners
from islanding.lab.region.manners.call import Call
from islanding.lab.region.manners.choice import Choice, manners
from islanding.lab.region.metadata import InstanceIdentity, Lookup
from islanding.lab.region.metrics import Feed, LinkState
from islanding.lab.region.operations import form, mutates, operation_of
from islanding.lab.region.outposts import Outpost, Outposts
from islanding.lab.region.permissions import Permissions
from islanding.lab.region.principals import Principal
from islanding.lab.region.registry import Registry
from islanding.lab.region.s3 import ANONYMOUS, S3
from islanding.lab.region.seed import Seed
from islanding.lab.region.sessions import Sessions, is_aws
from islanding.lab.region.signature import Claim
from islanding.lab.region.trail import Trail
from islanding.lab.region.troubles import Troubles
from islanding.lab.vpc.door import Via

REGIONAL = (
    "sts", "eks", "ec2", "monitoring", "outposts", "logs", "api.ecr", "s3", "cloudformation", "autoscaling",
    "elasticloadbalancing", "ssm", "tagging",
)  # fmt: skip
GLOBAL = ("sts.amazonaws.com", "iam.amazonaws.com", "route53.amazonaws.com", "s3.amazonaws.com")
UNSIGNED = frozenset({"AssumeRoleWithWebIdentity", "AssumeRoleWithSAML"})
Hook = Callable[[str, str], None]
Guard = Callable[[Request, Principal | None, str, str, Via], None]


def host_names(region: str) -> tuple[str, ...]:
    """Every host name that the Region answers at: for its certificate and for DNS."""
    return (*(f"{service}.{region}.amazonaws.com" for service in REGIONAL), *GLOBAL)


class Region:
    """One account's view of one AWS Region, in this process; `log` is the file that records every call.

    `errors` holds what went wrong on our side (a hook, the log, an exception in a reply), and `on_error` is told of it
    at once: what is seen of AWS meanwhile proves nothing.
    """

    def __init__(self, account: str, region: str, log: Path, on_error: Callable[[str], None] = lambda _: None) -> None:
        self.account = account
        self.region = region
        self.errors = Troubles(on_error)
        mends.install(account, region)
        self.seed = Seed(account, region)
        self.sessions = Sessions(self.seed, region, self.handle)
        self.outposts = Outposts(account, region)
        self.eks = Eks(account, region, self.outposts.knows)
        self.ec2 = Instances(account, region)
        self.cloudformation = CloudFormation(account, region, self.sessions.own_client, self.errors.append)
        self._trail = Trail(log, self.errors.append)
        self._forward = Forwarder(account, region)
        self.s3 = S3(account, region, self._forward)
        self.ecr = Ecr(account, region)
        self.registry = Registry(region, self.ecr)
        # Judges each request before it is answered: raises AwsError to refuse. `service` is the name in signatures, or
        # ecr.dkr, `operation` the API's name for what is asked; a request to S3 has its bucket in front of the path.
        self.permissions = Permissions(account, region)
        self.guard: Guard = self.permissions
        self._manners = Manners()
        self._tokens = Tokens()
        self._hooks: list[Hook] = []
        self._servers: list[HttpServer] = []
        self._feeds: list[Feed] = []

    def serve(
        self,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        *,
        via: Callable[[], Via] = Via,
        services: tuple[str, ...] = (),
    ) -> HttpServer:
        """Serve the API on a socket that is bound and listening, until `close`; can be called for several sockets.

        `via` tells by which way its callers come, as it is at each request; `services` (named as in
        com.amazonaws.REGION.NAME) are those that answer there, all of them when it is empty.
        """

        def handle(request: Request) -> Response:
            return self.handle(request, services)

        server = HttpServer(listener, handle, tls=tls, name="region", on_error=self.errors.append, via=via).start()
        self._servers = [known for known in self._servers if not known.closed]
        self._servers.append(server)
        return server

    def serve_metadata(self, listener: socket.socket, lookup: Lookup | None = None) -> HttpServer:
        """Serve the instance metadata service on a listening socket; by default instances are known by `identity`."""
        server = metadata.serve(listener, lookup or self.identity, self.errors.append)
        self._servers.append(server)
        return server

    def close(self) -> None:
        """Stop serving, close every connection and the log."""
        for feed in self._feeds:
            feed.close()
        for server in self._servers:
            server.close()
        self._trail.close()

    def after_mutation(self, hook: Hook) -> None:
        """Have `hook(service, operation)` called after each successful change, before its reply is sent.

        What a hook raises is recorded in `errors` and never reaches the caller.
        """
        self._hooks.append(hook)

    def add_outpost(self, outpost_id: str, name: str, arn: str, site: str, zone: str) -> Outpost:
        """Register the site's Outpost with the Outposts API."""
        return self.outposts.add(outpost_id, name, arn, site, zone)

    def feed(self, outpost_id: str, read: Callable[[], LinkState], interval: float) -> Feed:
        """Publish the Outpost's CloudWatch metrics from `read()` every `interval` seconds until `close`."""
        feed = Feed(self.account, self.region, outpost_id, read, interval, self.errors.append).start()
        self._feeds.append(feed)
        return feed

    def instances(self) -> tuple[InstanceState, ...]:
        """All instances as EC2 has them now; quick, without an API call."""
        return self.ec2.states()

    def identity(self, address: str, vpc: str = "") -> InstanceIdentity | None:
        """Who the metadata service says has that private address (in that VPC, if given); None when nobody has."""
        instance = self.ec2.at(address, vpc)
        if instance is None:
            return None
        make = (lambda: self.sessions.of_role(instance.role, instance.id)) if instance.role else None
        return InstanceIdentity(instance, self.account, self.region, make)

    def warm(self) -> threading.Thread:
        """Load moto's slow services in a thread, which is returned: EC2's first call costs more than a second."""
        thread = threading.Thread(target=self._warm, name="region-warm", daemon=True)
        thread.start()
        return thread

    def _warm(self) -> None:
        try:
            for service, action in (("ec2", "DescribeVpcs"), ("monitoring", "ListMetrics"), ("iam", "ListRoles")):
                self._forward.warm(service, action)
            operation_of(Request("GET", "/clusters"), "eks")
        except Exception as error:
            self.errors.append(f"warming: {type(error).__name__}: {error}")

    def handle(self, request: Request, services: tuple[str, ...] = ()) -> Response:
        """Authenticate, answer and record one request; `services` are those that answer at the door it came by."""
        begun = time.monotonic()
        claim: Claim | None = None
        principal: Principal | None = None
        operation, code = "", ""
        target = hostnames.target(request.headers.get("host", ""))
        service = target.service if target.service == "ecr.dkr" else target.signing
        try:
            if service == "ecr.dkr":
                operation = self.registry.operation(request)
                principal = self.registry.authenticate(request, target)
            else:
                claim = signature.claim_of(request)
                service = claim.service if claim else service
                sent, request = request, self.s3.by_path(request, target) if service == "s3" else request
                operation = operation_of(request, service)
                if claim is not None:
                    credential = admission.authenticate(sent, claim, target, self.region)
                    principal = credential.principal
                    request = self.s3.whole(request, claim, credential.secret) if service == "s3" else request
                elif operation not in UNSIGNED and not (service == "s3" and operation in ANONYMOUS):
                    raise admission.unsigned(service)
            admission.check_door(services, target, service)
            self.guard(request, principal, service, operation, request.via)
            call = Call(
                request,
                principal,
                service,
                operation,
                presigned=bool(claim and claim.presigned),
                own=principal is not None and is_aws(principal),
            )
            response = self._manners(
                call, lambda asked: self._carry_out(asked, service, operation, claim, principal, target)
            )
        except AwsError as error:
            error = adapt(error, service)
            code, response = error.code, self._refusal(error, request, service, target)
        except NotImplementedError as error:  # 501 and not 500: SDKs would send a 500 again and again
            code = "NotImplemented"
            response = render(AwsError(code, f"The lab's Region lacks this: {error}", 501), request, service)
        except Exception as error:  # a fault of moto's or ours: AWS's words to the caller, the cause to the record
            code = "InternalFailure"
            self.errors.append(f"{service} {operation}: {type(error).__name__}: {error}")
            response = render(AwsError(code, "The lab's Region failed; see its errors", 500), request, service)
        if request.upload is not None:
            request.upload.close()
        self._trail.write(
            source=request.peer[0],
            access_key_id=claim.access_key_id if claim else principal.access_key_id if principal else "",
            principal=principal.arn if principal else "",
            service=service,
            operation=operation,
            status=response.status,
            error=code,
            seconds=time.monotonic() - begun,
            endpoint=request.via.endpoint,
            vpc=request.via.vpc,
        )
        return response

    def _refusal(self, error: AwsError, request: Request, service: str, target: Target) -> Response:
        if service == "ecr.dkr":
            return self.registry.refusal(error, target)
        return render(error, request, service)

    def _carry_out(
        self,
        request: Request,
        service: str,
        operation: str,
        claim: Claim | None,
        principal: Principal | None,
        target: Target,
    ) -> Response:
        """Answer, and have what follows from a change done before the reply is sent, or lost."""

        def answer() -> Response:
            response = self._answer(request, service, operation, claim, principal, target)
            if response.status < 400 and mutates(operation):
                self._mutated(service, operation)
            return response

        return self._tokens(request, service, operation, principal.account if principal else "", answer)

    def _answer(  # noqa: C901, PLR0911  # one return for each service reads best
        self,
        request: Request,
        service: str,
        operation: str,
        claim: Claim | None,
        principal: Principal | None,
        target: Target,
    ) -> Response:
        if request.path.startswith("/moto-api"):
            raise AwsError("UnknownOperationException", "There is no such operation", 404)
        if service == "s3":
            return self.s3.answer(request, operation, claim, principal)
        if service == "ecr.dkr" and principal is not None:
            return self.registry.answer(request, target)
        if principal is not None:
            if service == "ecr" and operation == "GetAuthorizationToken":
                return self.ecr.authorization_token(request, principal)
            if service == "sts" and operation == "GetCallerIdentity":
                return sts.caller_identity(request, principal)
            if service == "sts" and operation == "AssumeRole":
                sts.check_assume_role(principal, dict(form(request)).get("RoleArn", ""))
            if service == "outposts":
                return self.outposts.answer(request, operation)
            if service == "cloudformation":
                return self.cloudformation.answer(request, operation)
            if service == "eks" and (response := self.eks.answer(request, principal)) is not None:
                return response
            if service == "ec2":
                self.ec2.check(operation, request, self.outposts.knows)
                response = self._forward(request, claim, principal)
                if response.status < 400:
                    self.ec2.observe(operation, request, response)
                return response
        return self._forward(request, claim, principal)

    def behave(self, choice: Choice) -> None:
        """Treat callers as AWS treats real accounts, as far as that is chosen, from now on."""
        self._manners = manners(choice, self.permissions)

    def _mutated(self, service: str, operation: str) -> None:
        for hook in self._hooks:
            try:
                hook(service, operation)
            except Exception as error:
                self.errors.append(f"hook after {service}:{operation}: {type(error).__name__}: {error}")
