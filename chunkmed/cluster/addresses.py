"""A scheduler that somebody else started: by its address, encrypted unless it is on this machine."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chunkmed.cluster.library import distributed
from chunkmed.errors import InputError

__all__ = ["check_address", "is_loopback", "security_for"]

_SCHEMES = ("tcp", "tls")
#: Files of a folder with certificates.
_TLS_FILES = {"tls_ca_file": "ca.pem", "tls_client_cert": "cert.pem", "tls_client_key": "key.pem"}


def check_address(address: str, *, insecure: bool) -> None:
    """Refuse what is no address, and what would run code unencrypted on another machine.

    Raises
    ------
    InputError
        ``bad-address``, or ``insecure-address``.
    """
    scheme, host = _parts(address)
    if scheme == "tcp" and not insecure and not is_loopback(host):
        raise InputError(
            "an unencrypted connection to another machine is refused",
            kind="insecure-address",
            where=address,
            why="whoever reads along sees the data, whoever reaches the port runs code",
            fix="use tls:// (certificates with --tls), or accept it with --insecure (insecure=True)",
        )


def _parts(address: str) -> tuple[str, str]:
    try:
        parts = urlsplit(address)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in _SCHEMES or not host or not port:
        raise InputError(
            "this is not the address of a dask scheduler",
            kind="bad-address",
            where=address,
            fix="write tls://HOST:PORT, or tcp://127.0.0.1:PORT for one on this machine",
        )
    return scheme, host


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, whatever the network around it.

    Examples
    --------
    >>> is_loopback("127.0.0.2"), is_loopback("::1"), is_loopback("10.0.0.7")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]).is_loopback for entry in found)


def security_for(address: str, tls: str | os.PathLike[str] | None) -> Any:
    """Return the certificates for an address; None where it needs none.

    Parameters
    ----------
    address : str
        ``tls://`` or ``tcp://``.
    tls : path, optional
        Folder with ``ca.pem``, ``cert.pem`` and ``key.pem``; by default what dask's own configuration
        names (``distributed.comm.tls``).

    Raises
    ------
    InputError
        ``no-certificates`` where they are missing, ``bad-address`` where they would not be used.
    """
    if not address.startswith("tls:"):
        if tls is not None:
            raise InputError(
                "certificates are for tls://", kind="bad-address", where=address, fix="write tls://HOST:PORT"
            )
        return None
    make = distributed().Security
    if tls is None:
        security = make(require_encryption=True)
        if security.tls_ca_file and security.tls_client_cert:
            return security
        raise _without("dask's configuration names none")
    files = {name: Path(tls) / file for name, file in _TLS_FILES.items()}
    if missing := [str(path) for path in files.values() if not path.is_file()]:
        raise _without(f"there is no {', '.join(missing)}")
    return make(require_encryption=True, **{name: str(path) for name, path in files.items()})


def _without(why: str) -> InputError:
    fix = "give a folder with ca.pem, cert.pem and key.pem: --tls DIR (tls=DIR)"
    return InputError("tls:// needs certificates", kind="no-certificates", why=why, fix=fix)
