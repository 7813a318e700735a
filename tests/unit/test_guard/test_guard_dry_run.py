"""`islanding experiment run --dry-run` prints each action's calls and their inverse, and changes nothing."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from islanding.chaos.dry import look
from islanding.cli import main
from islanding.errors import ExitCode
from islanding.undo import UndoLog
from tests.unit.test_faults.network import Network

EXPERIMENT = """
title: Endpoints go
description: One after the other.
controls: [{name: islanding, provider: {type: python, module: islanding.chaos.controls}}]
runtime: {rollbacks: {strategy: always}}
configuration: {what: s3}
extensions: [{name: islanding, site: mini, requirements: [C-12]}]
steady-state-hypothesis:
  title: all is well
  probes:
    - {type: probe, name: well, tolerance: true, provider: {type: python, module: islanding.chaos.probes,
       func: bgp_established}}
method:
  - {type: action, name: cut, provider: {type: python, module: islanding.chaos.actions, func: remove_endpoint,
     arguments: {service: "${what}"}}}
  - {type: action, name: stop, provider: {type: python, module: chaosaws.asg.actions, func: suspend_processes,
     arguments: {asg_names: [workers], process_names: [Launch]}}}
rollbacks:
  - {type: action, name: mend, provider: {type: python, module: islanding.chaos.actions, func: undo_fault}}
"""


def test_a_dry_run_shows_every_action_and_changes_nothing(network: Network, tmp_path: Path) -> None:
    """Calls, inverse, what is touched and the guardrails' word, ours and those of chaostoolkit-aws."""
    path = tmp_path / "e.yaml"
    path.write_text(EXPERIMENT)
    before = network.state()
    words = ["experiment", "run", str(path), "--site", network.site.folder, "--dry-run", "--run", str(tmp_path / "r")]
    result = CliRunner().invoke(main, words)

    assert (ExitCode.OK, before) == (result.exit_code, network.state()), result.output
    assert "method: cut\n  endpoint-removed: " in result.output
    assert f'apply  ec2.delete_vpc_endpoints(VpcEndpointIds=["{network.ids["s3"]}"])' in result.output
    assert "undo   ec2.create_vpc_endpoint(VpcId=" in result.output
    assert 'undo   autoscaling.resume_processes(AutoScalingGroupName="workers", ScalingProcesses=["Launch"])' in (
        result.output
    )
    assert result.output.endswith("rollbacks: mend\n  undoes what was applied\n")
    assert () == UndoLog.for_site(network.site.id).read().entries
    assert not (tmp_path / "r").exists()


def test_a_dry_run_says_what_would_be_refused(network: Network, tmp_path: Path) -> None:
    """The guardrail is named for the action that it would refuse, and the exit code is that of a refusal."""
    network.client().delete_tags(Resources=[network.ids["s3"]], Tags=[{"Key": "islanding:faults"}])
    path = tmp_path / "e.yaml"
    path.write_text(EXPERIMENT)
    said, passes = look(path, network.site)

    assert not passes
    assert f"    refused  guardrail tag: {network.ids['s3']} has no tag islanding:faults=allowed" in said
