"""The viewer's server: viser on a port of this machine. It starts before torch is loaded."""

from __future__ import annotations

import contextlib
import errno
import io
import socket
from typing import TYPE_CHECKING

from vitruve.errors import BadData, MissingAsset, UsageError

if TYPE_CHECKING:
    import viser

# Default ports to try.
_PORTS = range(8080, 8180)


def open_server(host: str = "127.0.0.1", port: int | None = None, title: str = "Vitruve") -> viser.ViserServer:
    """Start a server with an empty page.

    Args:
        host: the address to listen on. The default is reached from this machine only; 0.0.0.0 from everywhere.
        port: by default a free one from 8080 on; 0 takes any free one.

    Raises:
        MissingAsset: the extra `view` is not installed.
        UsageError: the port is taken or not allowed.
    """
    try:
        import viser
    except ImportError:
        raise MissingAsset(
            "the viewer needs viser, which is not installed", where="extra 'view'", fix="pip install 'vitruve[view]'"
        ) from None
    chosen = _free_port(host, port)
    # viser prints that it has started; the command prints what the user must know.
    with contextlib.redirect_stdout(io.StringIO()):
        server = viser.ViserServer(host=host, port=chosen, label=title, verbose=False)
    if port and server.get_port() != port:
        close_server(server)
        raise _taken(host, port)
    # Nothing may leave this machine by a click: viser's share button opens a tunnel to a server of its makers.
    server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
    # Beside the scene, not over it: in a narrow window it would hide the bodies.
    server.gui.main_panel.dock_right()
    return server


def close_server(server: viser.ViserServer) -> None:
    """Stop a server, silently."""
    with contextlib.redirect_stdout(io.StringIO()):
        server.stop()


def address(server: viser.ViserServer) -> str:
    """The address to open in a browser."""
    host = server.get_host()
    return f"http://{'localhost' if host in ('0.0.0.0', '127.0.0.1', '::') else host}:{server.get_port()}"


def _free_port(host: str, port: int | None) -> int:
    if port == 0:
        with _socket(host) as trial:
            trial.bind((host, 0))
            return trial.getsockname()[1]
    for candidate in _PORTS if port is None else (port,):
        problem = _problem(host, candidate)
        if problem is None:
            return candidate
        if isinstance(problem, PermissionError):
            raise UsageError(
                f"port {candidate} is reserved for the system", where=f"{host}:{candidate}", fix="take one above 1023"
            )
        if problem.errno != errno.EADDRINUSE:
            raise UsageError(
                f"'{host}' is not an address of this machine",
                where=f"--host {host}: {problem.strerror}",
                fix="use 127.0.0.1 for this machine alone, 0.0.0.0 for everyone who can reach it",
            )
    if port is None:
        raise BadData("no port is free", f"{host}, ports {_PORTS[0]} to {_PORTS[-1]}", fix="name one: --port 9000")
    raise _taken(host, port)


def _taken(host: str, port: int) -> UsageError:
    free = next((candidate for candidate in range(port + 1, 65536) if _problem(host, candidate) is None), None)
    fix = "leave out --port" if free is None else f"use the next free one, --port {free}, or leave out --port"
    return UsageError(f"port {port} is taken by another program", where=f"{host}:{port}", fix=fix)


def _problem(host: str, port: int) -> OSError | None:
    """The error of listening there, or None."""
    try:
        with _socket(host) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        return error
    return None


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
