"""Builds binaries from the Go module proxy: the committed go.mod and go.sum decide every byte of source."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from islanding.errors import SetupError
from islanding.lab.parts.pins import PartSet, version_tuple
from islanding.lab.parts.progress import Reporter
from islanding.lab.parts.runner import stream
from islanding.process import run

# From this version on, a toolchain fetches the newer one that a go.mod asks for (go.dev/doc/toolchain).
SELF_UPGRADING_GO = (1, 21)
NEEDED_BYTES = 16 * 1024**3  # module and build cache of a cold build of everything, with room for linking


@dataclass(frozen=True)
class GoProvider:
    """A build by the Go toolchain of this machine, with caches of our own below the cache folder."""

    cache: Path

    @property
    def name(self) -> str:
        return "built from Go modules"

    def fetch(self, part: PartSet, wanted: Sequence[str], work: Path, progress: Reporter) -> dict[str, Path]:
        toolchain = find_toolchain(part)
        out = work / "go-bin"
        out.mkdir(parents=True, exist_ok=True)
        # A copy: the checkout may be read-only, and nothing may write into it.
        source = work / "source"
        shutil.copytree(part.folder, source, dirs_exist_ok=True)
        result = stream(command(part, wanted), progress, env=environment(part, self.cache, out, toolchain), cwd=source)
        if not result.ok:
            raise SetupError(
                f"building {part.name} {part.version} failed\n  {last_lines(result.stderr)}", advice(result.stderr)
            )
        built = {lab_name: out / program for program, lab_name in part.installs.items()}
        return {name: path for name, path in built.items() if name in wanted and path.is_file()}


def command(part: PartSet, wanted: Sequence[str]) -> list[str]:
    """The build command: all tools of the go.mod, or the packages of the wanted ones alone."""
    everything = set(wanted) == set(part.binaries) and "." not in part.packages.values()
    what = ["tool"] if everything else [part.packages[name] for name in wanted]
    return ["go", "install", "-v", "-trimpath", "-ldflags", part.ldflags, *what]


def environment(part: PartSet, cache: Path, out: Path, toolchain: tuple[int, ...]) -> dict[str, str]:
    """Environment of a build: static programs, locked modules, caches that the user can delete (-modcacherw).

    A toolchain older than the go.mod wants is told to fetch the one it needs, through the module proxy too.
    """
    env = {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOBIN": str(out),
        "GOMODCACHE": str(cache / "go-mod"),
        "GOCACHE": str(cache / "go-build"),
        "GOWORK": "off",
    }
    if toolchain < part.needs_go:
        env["GOTOOLCHAIN"] = "auto"
    return env


def find_toolchain(part: PartSet) -> tuple[int, ...]:
    """The version of this machine's Go; raises SetupError when there is none or it is too old to help itself."""
    needed = ".".join(str(number) for number in part.needs_go)
    mend = (
        f"Install Go {needed} or newer (a package of your system, or go.dev/dl) and see that `go` is in PATH, "
        f"or give the binaries: islanding setup --from DIR."
    )
    if shutil.which("go") is None:
        raise SetupError(f"the Go toolchain is missing: it builds {part.name} {part.version}", mend)
    said = run(["go", "env", "GOVERSION"], check=False, env={"GOTOOLCHAIN": "local"}, cwd="/").stdout.strip()
    version = version_tuple(said)
    if version[:2] < SELF_UPGRADING_GO:
        raise SetupError(f"the Go toolchain is too old: {said or 'unknown'}, {part.name} needs {needed}", mend)
    return version


def last_lines(text: str, count: int = 8) -> str:
    """The end of a build's output, indented for an error message."""
    return "\n  ".join(line for line in text.strip().splitlines()[-count:])


def advice(output: str) -> str:
    """What to do about a build that failed, from what it printed."""
    if "no space left on device" in output:
        return (
            f"Free {NEEDED_BYTES // 1024**3} GB (see `islanding doctor`), then run `islanding setup` again: it goes on."
        )
    if "toolchain not available" in output or "requires go >=" in output or "download go1" in output:
        return "This Go is too old and cannot fetch a newer one: install the version named above."
    if "SECURITY ERROR" in output or "checksum mismatch" in output:
        return "A module is not what go.sum says: do not go on; check GOPROXY (`go env GOPROXY`)."
    if any(
        sign in output for sign in ("dial tcp", "i/o timeout", "no such host", "proxyconnect", "connection refused")
    ):
        return (
            "The Go module proxy cannot be reached: set GOPROXY, or give the binaries by `islanding setup --from DIR`."
        )
    return "Run `islanding setup` again; what is finished is kept."
