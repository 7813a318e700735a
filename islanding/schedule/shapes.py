"""The YAML files of a schedule as closed models: a key that neither Kubernetes nor the CI system knows is a mistake.

Sources: Kubernetes API reference 1.34 (CronJobSpec, JobSpec, PodSpec, Container); GitHub's "Workflow syntax for GitHub
Actions"; GitLab's "CI/CD YAML syntax reference". What is of no matter here is named and not looked into.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from islanding import yamldoc
from islanding.confmodel import Conf
from islanding.errors import SetupError
from islanding.schedule import calendar


def _cron(value: Any) -> str:
    if not isinstance(value, str):
        raise PydanticCustomError("cron", "{given} is no text of five fields", {"given": yamldoc.shown(value)})
    try:
        return calendar.parse(value).text
    except SetupError as error:
        raise PydanticCustomError("cron", "{why}", {"why": error.what}) from error


Cron = Annotated[str, BeforeValidator(_cron)]
Seconds = Annotated[int, Field(ge=1, le=10**8)]


class Metadata(Conf):
    """Metadata of an object."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Container(Conf):
    """A container of a pod."""

    name: str
    image: str
    command: list[str] | None = None
    args: list[str] | None = None
    workingDir: str = ""
    env: list[dict[str, Any]] | None = None
    envFrom: list[dict[str, Any]] | None = None
    resources: Any = None
    resizePolicy: Any = None
    volumeMounts: list[dict[str, Any]] | None = None
    volumeDevices: Any = None
    securityContext: dict[str, Any] | None = None
    imagePullPolicy: Literal["Always", "IfNotPresent", "Never"] | None = None
    ports: Any = None
    lifecycle: Any = None
    livenessProbe: Any = None
    readinessProbe: Any = None
    startupProbe: Any = None
    terminationMessagePath: str = ""
    terminationMessagePolicy: str = ""
    stdin: bool = False
    stdinOnce: bool = False
    tty: bool = False


class PodSpec(Conf):
    """A pod."""

    containers: Annotated[list[Container], Field(min_length=1)]
    initContainers: Any = None
    restartPolicy: Literal["Never", "OnFailure"]
    serviceAccountName: str = ""
    automountServiceAccountToken: bool | None = None
    terminationGracePeriodSeconds: Seconds | None = None
    activeDeadlineSeconds: Seconds | None = None
    securityContext: dict[str, Any] | None = None
    volumes: list[dict[str, Any]] | None = None
    nodeSelector: dict[str, str] | None = None
    nodeName: str = ""
    affinity: Any = None
    tolerations: Any = None
    topologySpreadConstraints: Any = None
    priorityClassName: str = ""
    runtimeClassName: str = ""
    imagePullSecrets: Any = None
    hostAliases: Any = None
    hostNetwork: bool = False
    hostPID: bool = False
    hostIPC: bool = False
    hostUsers: bool | None = None
    dnsPolicy: str = ""
    dnsConfig: Any = None
    enableServiceLinks: bool | None = None
    schedulerName: str = ""
    shareProcessNamespace: bool | None = None


class PodTemplate(Conf):
    """What a job's pods are made from."""

    metadata: Metadata = Metadata()
    spec: PodSpec


class JobSpec(Conf):
    """A job."""

    template: PodTemplate
    backoffLimit: Annotated[int, Field(ge=0)] | None = None
    activeDeadlineSeconds: Seconds | None = None
    ttlSecondsAfterFinished: Annotated[int, Field(ge=0)] | None = None
    parallelism: int | None = None
    completions: int | None = None
    completionMode: str = ""
    podFailurePolicy: Any = None
    podReplacementPolicy: str = ""
    suspend: bool = False


class JobTemplate(Conf):
    """What a schedule's jobs are made from."""

    metadata: Metadata = Metadata()
    spec: JobSpec


class CronJobSpec(Conf):
    """The schedule itself."""

    schedule: Cron
    timeZone: str = ""
    concurrencyPolicy: Literal["Allow", "Forbid", "Replace"] = "Allow"
    startingDeadlineSeconds: Seconds | None = None
    successfulJobsHistoryLimit: Annotated[int, Field(ge=0)] | None = None
    failedJobsHistoryLimit: Annotated[int, Field(ge=0)] | None = None
    suspend: bool = False
    jobTemplate: JobTemplate


class CronJob(Conf):
    """A CronJob."""

    apiVersion: Literal["batch/v1"]
    kind: Literal["CronJob"]
    metadata: Metadata
    spec: CronJobSpec


class CronEvent(Conf):
    """When a workflow is due."""

    cron: Cron


class On(Conf):
    """What starts a workflow."""

    schedule: Annotated[list[CronEvent], Field(min_length=1)]
    workflow_dispatch: Any = None
    workflow_call: Any = None
    push: Any = None
    pull_request: Any = None


class Concurrency(Conf):
    """What does not run at the same time."""

    group: str
    cancel_in_progress: Annotated[bool | str, Field(alias="cancel-in-progress")] = False


class GithubStep(Conf):
    """A step of a job."""

    name: str = ""
    id: str = ""
    uses: str = ""
    run: str = ""
    with_: Annotated[Any, Field(alias="with")] = None
    env: Any = None
    if_: Annotated[Any, Field(alias="if")] = None
    shell: str = ""
    working_directory: Annotated[str, Field(alias="working-directory")] = ""
    timeout_minutes: Annotated[Any, Field(alias="timeout-minutes")] = None
    continue_on_error: Annotated[Any, Field(alias="continue-on-error")] = None


class GithubJob(Conf):
    """A job of a workflow."""

    name: str = ""
    runs_on: Annotated[Any, Field(alias="runs-on")]
    steps: Annotated[list[GithubStep], Field(min_length=1)]
    timeout_minutes: Annotated[int | None, Field(alias="timeout-minutes", ge=1)] = None
    needs: Any = None
    if_: Annotated[Any, Field(alias="if")] = None
    permissions: Any = None
    concurrency: Any = None
    environment: Any = None
    env: Any = None
    container: Any = None
    services: Any = None
    strategy: Any = None
    outputs: Any = None
    defaults: Any = None
    continue_on_error: Annotated[Any, Field(alias="continue-on-error")] = None


class Workflow(Conf):
    """A workflow of GitHub Actions."""

    name: str = ""
    run_name: Annotated[str, Field(alias="run-name")] = ""
    on: On
    permissions: Any = None
    env: Any = None
    defaults: Any = None
    concurrency: Concurrency | None = None
    jobs: Annotated[dict[str, GithubJob], Field(min_length=1)]


class GitlabJob(Conf):
    """A job of a pipeline."""

    stage: str = ""
    image: Any = None
    services: Any = None
    rules: list[dict[str, Any]] | None = None
    script: Annotated[list[str] | str, Field(min_length=1)]
    before_script: Any = None
    after_script: Any = None
    resource_group: str = ""
    interruptible: bool = False
    timeout: str = ""
    variables: dict[str, Any] | None = None
    id_tokens: Any = None
    secrets: Any = None
    artifacts: Any = None
    cache: Any = None
    needs: Any = None
    tags: Any = None
    retry: Any = None
    allow_failure: Any = None
    environment: Any = None
    when: str = ""
    extends: Any = None
