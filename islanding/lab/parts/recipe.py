"""What the machine image is made of: Debian packages, files, masked units; a changed recipe makes a new image."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

SUITE = "bookworm"

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "cloud-init",
    "openssh-server",
    "iproute2",
    "nftables",
    "iptables",
    "runc",
    "curl",
    "ca-certificates",
    "python3-minimal",
    "conntrack",
    "procps",
    "kmod",
    "ethtool",
    "socat",
    "sudo",
    "haproxy",
    "awscli",
    "skopeo",
    "openssh-client",
    "python3-yaml",
    "jq",
    "ldnsutils",
    "netcat-openbsd",
)

# Units that wait for hardware or seats an instance of the lab does not have, that would meddle with the host's kernel
# mounts, or that do housekeeping nobody needs in a machine that lives for minutes.
MASKED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "cloud-init-hotplugd.service",
    "cloud-init-hotplugd.socket",
    "cni-dhcp.service",
    "cni-dhcp.socket",
    "console-getty.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty.target",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-logind.service",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-udev-settle.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
)

# Installed in every instance, but off until its user data or the lab asks for it.
DISABLED_UNITS = ("haproxy.service",)

DIRECTORIES = (
    "opt/islanding/bin",  # the lab binds Parts.bin_dir here
    "opt/islanding/images",  # the lab binds Parts.oci_dir here
    "opt/cni/bin",  # the VPC CNI's init container installs its plugins here
    "etc/eks/image-credential-provider",
    "opt/parts",
    "opt/pki",
    "var/log/journal",  # its presence makes the journal outlive a reboot
    "etc/cni/net.d",
    "var/lib/kubelet",
    "var/lib/containerd",
)

# cloud-init's own file cut to the modules that an EC2 instance's user data uses here; the left-out ones cost boot time.
CLOUD_CFG = """\
datasource_list: [Ec2]
datasource:
  Ec2:
    strict_id: false
    metadata_urls: ["http://169.254.169.254"]
    max_wait: 20
    timeout: 5
# The network is there before the machine boots, as an instance's is after DHCP: cloud-init must not touch it.
network: {config: disabled}
disable_root: true
preserve_hostname: false
manage_etc_hosts: false
ssh_deletekeys: false
ssh_genkeytypes: [ed25519, ecdsa]
ssh_pwauth: false
users: [default]
cloud_init_modules: [bootcmd, write-files, set_hostname, update_hostname, users-groups, ssh]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-per-once, scripts-per-boot, scripts-per-instance, scripts-user, final-message]
system_info:
  distro: debian
  default_user:
    name: ec2-user
    lock_passwd: true
    gecos: EC2 Default User
    groups: [sudo]
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]
    shell: /bin/bash
  paths:
    cloud_dir: /var/lib/cloud/
    templates_dir: /etc/cloud/templates/
  ssh_svcname: ssh
output: {all: "| tee -a /var/log/cloud-init-output.log"}
"""

# A machine without a metadata service must still let its owner in, and an image must carry no host key.
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
SSH_HOST_KEYS = f"""\
[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'test -e {HOST_KEY} || ssh-keygen -q -t ed25519 -N "" -f {HOST_KEY}'
ExecStartPre=/usr/sbin/sshd -t
"""
SSHD_CONF = f"PasswordAuthentication no\nUseDNS no\nHostKey {HOST_KEY}\n"
JOURNALD_CONF = "[Journal]\nStorage=persistent\nSystemMaxUse=64M\nSyncIntervalSec=5s\n"

FILES = {
    "etc/cloud/cloud.cfg": CLOUD_CFG,
    "etc/cloud/ds-identify.cfg": "policy: enabled\n",
    "etc/ssh/sshd_config.d/10-islanding.conf": SSHD_CONF,
    "etc/systemd/system/ssh.service.d/10-host-keys.conf": SSH_HOST_KEYS,
    "etc/systemd/journald.conf.d/10-islanding.conf": JOURNALD_CONF,
    "etc/sudoers.d/90-ec2-user": "ec2-user ALL=(ALL) NOPASSWD:ALL\n",
    "etc/hostname": "localhost\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/resolv.conf": "",
    "etc/machine-id": "",  # empty: systemd makes a new one for each instance
    "etc/fstab": "",
    "etc/apt/sources.list": "",
}

FILE_MODES = {"etc/sudoers.d/90-ec2-user": 0o440, "etc/machine-id": 0o444}

# Shell, run with the image's root as $1 after the packages are in and before FILES are written.
CUSTOMIZE = (
    'chroot "$1" useradd --create-home --shell /bin/bash --comment "EC2 Default User" --groups sudo ec2-user',
    'rm -f "$1"/etc/ssh/ssh_host_*',
    'rm -rf "$1"/etc/cloud/cloud.cfg.d/*',
    'ln -sf /lib/systemd/system/multi-user.target "$1"/etc/systemd/system/default.target',
)

# What mmdebstrap and apt leave behind of the machine that made the image: mirror, proxy, resolver, logs.
REMOVE = (
    "etc/apt/sources.list.d",
    "etc/apt/apt.conf.d/99mmdebstrap",
    "etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "var/log/apt",
    "var/log/dpkg.log",
    "var/log/alternatives.log",
    "var/log/bootstrap.log",
    "var/cache/apt",
    "var/cache/ldconfig",
    "var/lib/apt/lists",
    "var/lib/dbus/machine-id",
)

EXCLUDED_PATHS = (
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
    "/usr/share/bash-completion/*",
    "/usr/lib/python3/dist-packages/awscli/examples/*",  # only `aws ... help` shows them
)
KEPT_PATHS = ("/usr/share/doc/*/copyright",)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a machine image holds, apart from the day's package versions."""

    suite: str = SUITE
    packages: tuple[str, ...] = PACKAGES
    masked: tuple[str, ...] = MASKED_UNITS
    disabled: tuple[str, ...] = DISABLED_UNITS
    directories: tuple[str, ...] = DIRECTORIES
    customize: tuple[str, ...] = CUSTOMIZE
    remove: tuple[str, ...] = REMOVE
    excluded: tuple[str, ...] = EXCLUDED_PATHS
    kept: tuple[str, ...] = KEPT_PATHS
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))
    modes: dict[str, int] = field(default_factory=lambda: dict(FILE_MODES))

    @property
    def key(self) -> str:
        """A short name for this recipe: any change of it gives another key, so another image."""
        return hashlib.sha256(json.dumps(vars(self), sort_keys=True).encode()).hexdigest()[:16]
