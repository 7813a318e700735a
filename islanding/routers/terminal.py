"""The command lines of Cisco IOS-XE and Junos by netmiko: one kept SSH connection a router, one user at a time."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from islanding.model import Router, RouterLogin
from islanding.routers.driver import RouterError, Terminal

_KINDS = {"ios-xe": "cisco_xe", "junos": "juniper_junos"}  # our names, netmiko's
_TIMEOUT = 60.0  # seconds for one command: a commit of a large configuration takes tens of them
_LONGEST_IOS = 120  # minutes: "configure terminal revert timer", Cisco IOS configuration fundamentals
# What IOS says of a line that it does not take; log lines (%SYS-5-CONFIG_I) begin alike and are none.
_REFUSED_IOS = re.compile(r"^% ?(?![A-Z0-9_]+-\d-)\S.*$", re.MULTILINE)
_REFUSED_JUNOS = re.compile(r"^\s*(?:error|syntax error|unknown command|missing argument)\b.*$", re.MULTILINE)
# What undoing may be told when there is nothing left to undo: the timer has run out, the list is gone.
_NOTHING_TO_UNDO = re.compile(r"No Rollback Confirmed Change pending|[Cc]an't find|not configured|does not exist")

_kept: dict[tuple[str, str], Terminal] = {}
_lock = threading.Lock()
T = TypeVar("T")


def terminal_of(router: Router) -> Terminal:
    """The command line of a router, which is kept; raises RouterError when its login is not known."""
    if router.login is None:
        raise RouterError(f"the site's description does not say how {router.name} is logged in to", "give it `login`")
    key = (router.driver, router.login.model_dump_json())
    with _lock:
        if key not in _kept:
            made: type[_Line] = _IosXe if router.driver == "ios-xe" else _Junos
            _kept[key] = made(router.name, router.login, _KINDS[router.driver])
        return _kept[key]


class _Line:
    """What both command lines share: the connection, and what its failures are called."""

    def __init__(self, name: str, login: RouterLogin, kind: str) -> None:
        self.name = name
        self._login = login
        self._kind = kind
        self._lock = threading.Lock()
        self._connection: Any = None

    def show(self, command: str) -> str:
        text = self._with(lambda line: str(line.send_command(command, read_timeout=_TIMEOUT)))
        self._refuse(text, command)
        return text

    def configure(self, lines: Sequence[str], *, minutes: int, confirm: bool) -> None:
        self._with(lambda line: self._configure(line, lines, minutes, confirm=confirm))

    def _configure(self, line: Any, lines: Sequence[str], minutes: int, *, confirm: bool) -> None:
        raise NotImplementedError

    def _refuse(self, text: str, said: str, pattern: re.Pattern[str] = _REFUSED_IOS, *, undoing: bool = False) -> None:
        refused = [one for one in pattern.findall(text) if not (undoing and _NOTHING_TO_UNDO.search(one))]
        if refused:
            raise RouterError(f"{self.name} refused `{said}`: {'; '.join(one.strip() for one in refused)}")

    def _with(self, work: Callable[[Any], T]) -> T:
        """Do work on the connection; one that was kept and has died is made anew, once."""
        with self._lock:
            kept = self._connection is not None
            try:
                return work(self._open())
            except RouterError:
                self._close()  # it may be left in the middle of a configuration
                raise
            except Exception as error:  # netmiko, paramiko and sockets each have their own
                self._close()
                if not kept:
                    raise RouterError(f"{self.name} ({self._login.host}): {_first_line(error)}") from error
            try:
                return work(self._open())
            except RouterError:
                self._close()
                raise
            except Exception as error:
                self._close()
                raise RouterError(f"{self.name} ({self._login.host}): {_first_line(error)}") from error

    def _open(self) -> Any:
        if self._connection is None:
            self._connection = _connected(self.name, self._login, self._kind)
        return self._connection

    def _close(self) -> None:
        dead, self._connection = self._connection, None
        if dead is not None and dead.remote_conn_pre is not None:
            dead.remote_conn_pre.close()  # not disconnect(): that would wait for a prompt that may never come


class _IosXe(_Line):
    """Lines take effect as they are entered; a revert timer takes them all back."""

    def _configure(self, line: Any, lines: Sequence[str], minutes: int, *, confirm: bool) -> None:
        if minutes > _LONGEST_IOS:
            longest = f"{_LONGEST_IOS} minutes at most"
            raise RouterError(f"{self.name} takes a change back after {longest}", "give the fault less `max_seconds`")
        enter = f"configure terminal revert timer {minutes}" if minutes else "configure terminal"
        said = line.send_command(enter, expect_string=r"#\s*$", read_timeout=_TIMEOUT, strip_prompt=False)
        if not line.check_config_mode():
            hint = "" if not minutes else "a revert timer needs an archive: `archive`, `path bootflash:islanding`"
            raise RouterError(f"{self.name} refused `{enter}`: {said.strip()}", hint)
        said = line.send_config_set(list(lines), enter_config_mode=False, exit_config_mode=True, read_timeout=_TIMEOUT)
        self._refuse(said, "; ".join(lines), undoing=confirm)
        if confirm:
            said = line.send_command("configure confirm", read_timeout=_TIMEOUT)
            self._refuse(said, "configure confirm", undoing=True)


class _Junos(_Line):
    """Lines take effect with the commit; one that is not confirmed by another is rolled back."""

    def show(self, command: str) -> str:
        text = self._with(lambda line: str(line.send_command(command, read_timeout=_TIMEOUT)))
        self._refuse(text, command, _REFUSED_JUNOS)
        return text

    def _configure(self, line: Any, lines: Sequence[str], minutes: int, *, confirm: bool) -> None:
        # Exclusive: what somebody else has typed and not committed is neither committed nor lost.
        said = line.send_config_set(
            list(lines), config_mode_command="configure exclusive", exit_config_mode=False, read_timeout=_TIMEOUT
        )
        try:
            self._refuse(said, "; ".join(lines), _REFUSED_JUNOS, undoing=confirm)
            line.commit(confirm=bool(minutes), confirm_delay=minutes or None, read_timeout=_TIMEOUT)
        except (RouterError, ValueError) as error:  # netmiko raises ValueError with what the router printed
            line.send_command("rollback 0", expect_string=r"#\s*$")
            line.exit_config_mode()
            if isinstance(error, RouterError):
                raise
            raise RouterError(f"{self.name} did not commit `{'; '.join(lines)}`: {_errors(error)}") from error
        line.exit_config_mode()


def _connected(name: str, login: RouterLogin, kind: str) -> Any:
    try:
        from netmiko import ConnectHandler
    except ImportError as missing:
        raise RouterError(
            f"{name} is a Cisco or Juniper router, and netmiko is not installed", "pip install 'islanding[routers]'"
        ) from missing
    password = os.environ.get(login.password_variable) if login.password_variable else None
    if login.password_variable and password is None:
        raise RouterError(f"{name}: the environment variable {login.password_variable} is not set", "export it")
    return ConnectHandler(
        device_type=kind,
        host=login.host,
        port=login.port,
        username=login.user,
        password=password,
        use_keys=bool(login.key_file),
        key_file=login.key_file or None,
        allow_agent=not login.key_file and password is None,
        ssh_strict=True,
        system_host_keys=not login.known_hosts,
        alt_host_keys=bool(login.known_hosts),
        alt_key_file=login.known_hosts,
        ssh_config_file=login.ssh_config or None,
        conn_timeout=10.0,
    )


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _errors(error: Exception) -> str:
    found = [one.strip() for one in _REFUSED_JUNOS.findall(str(error))]
    return "; ".join(found) or _first_line(error)
