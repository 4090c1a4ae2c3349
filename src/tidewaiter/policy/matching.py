"""Whether an entry of a policy speaks of a transfer. Each function makes one that gives what matched, or None."""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tidewaiter.catalog.places import below
from tidewaiter.catalog.roles import program_name
from tidewaiter.policy import document
from tidewaiter.policy.indicators import Indicators
from tidewaiter.reading import paths
from tidewaiter.schema.transfer import Transfer

Match = Callable[[Transfer], str | None]
"""What of the transfer the entry speaks of, in a few words; None where it does not."""


class Addresses:
    """Addresses and networks."""

    def __init__(self, texts: Iterable[str]) -> None:
        found = [known for text in texts if (known := document.network(text)) is not None]
        self.networks = found

    def holding(self, text: str | None) -> str | None:
        """The network that an address lies in."""
        try:
            address = ipaddress.ip_address(text or "")
        except ValueError:
            return None
        for network in self.networks:
            if network.version == address.version and address in network:
                return str(network)
        return None


def source_hosts(transfer: Transfer) -> set[str]:
    """The names of the source: as the record has it, and as its URL says."""
    found = {transfer.src.hostname}
    if transfer.src.url:
        found.add(paths.endpoint(transfer.src.url)[0])
    return {name.lower().rstrip(".") for name in found if name}


def _domains(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.strip().lower().rstrip(".") for name in names)


def _source_below(transfer: Transfer, domains: frozenset[str]) -> str | None:
    """The domain under which every name of the source lies: one that does not is enough for no."""
    hosts = source_hosts(transfer)
    found = [below(host, domains) for host in sorted(hosts)]
    return found[0] if found and all(found) else None


def _programs(transfer: Transfer) -> set[str]:
    return {program_name(one) for one in (transfer.utility, transfer.process.name, transfer.process.path) if one}


def trusted_domain(entry: document.TrustedDomain) -> Match:
    """By the names of the source."""
    domains = _domains(entry.domains)
    return lambda transfer: _source_below(transfer, domains)


def distribution_server(entry: document.DistributionServer) -> Match:
    """By the name or address of the source."""
    domains = _domains(one for one in entry.servers if document.network(one) is None)
    addresses = Addresses(entry.servers)
    return lambda transfer: _source_below(transfer, domains) or addresses.holding(transfer.src.ip)


def updater(entry: document.Updater) -> Match:
    """By the program and the names of the source, both."""
    programs = {program_name(one) for one in entry.programs}
    domains = _domains(entry.domains)

    def match(transfer: Transfer) -> str | None:
        asking = sorted(programs & _programs(transfer))
        found = _source_below(transfer, domains) if asking else None
        return f"{asking[0]} from {found}" if found else None

    return match


def allowed_utility(entry: document.AllowedUtility, groups: Mapping[str, tuple[str, ...]]) -> Match:
    """By the utility, the host and, where the entry names users, the user."""
    utilities = {program_name(one) for one in entry.utilities}
    hosts = [one.lower() for host in entry.hosts for one in (groups[host[1:]] if host.startswith("@") else (host,))]
    addresses = Addresses(hosts)
    users = [user.lower() for user in entry.users]

    def match(transfer: Transfer) -> str | None:
        used = sorted(utilities & _programs(transfer))
        if not used:
            return None
        name = (transfer.device.hostname or "").lower()
        named = name and any(fnmatch.fnmatchcase(one, host) for one in (name, name.split(".")[0]) for host in hosts)
        if not named and addresses.holding(transfer.device.ip) is None and addresses.holding(name) is None:
            return None
        user = (transfer.user or "").lower()
        spelled = {user, user.rsplit("\\", 1)[-1], user.split("@", 1)[0]}
        if users and not any(fnmatch.fnmatchcase(one, pattern) for one in spelled for pattern in users):
            return None
        return f"{used[0]} on {name or transfer.device.ip}"

    return match


def internal_network(entry: document.InternalNetwork) -> Match:
    """By the address of the source."""
    addresses = Addresses(entry.networks)
    return lambda transfer: addresses.holding(transfer.src.ip)


def known_bad(values: Indicators) -> Match:
    """By a hash of the file, the URL, the address or the name of the source."""
    domains = frozenset(values.domains)
    networks: list[Any] = values.networks
    addresses = Addresses(())
    addresses.networks = networks

    def match(transfer: Transfer) -> str | None:
        file, src = transfer.file, transfer.src
        for digest in (file.sha256, file.sha1, file.md5):
            if digest and digest.lower() in values.hashes:
                return f"hash {digest.lower()}"
        if src.url and not values.urls.isdisjoint(paths.url_keys([src.url])):
            return f"URL {src.url}"[:200]
        for host in sorted(source_hosts(transfer)):
            if (found := below(host, domains)) is not None:
                return f"domain {found}"
        for text in (src.ip, *source_hosts(transfer)):
            if _plain_address(text) in values.addresses:
                return f"address {text}"
            if (within := addresses.holding(text)) is not None:
                return f"address {text} in {within}"
        return None

    return match


def _plain_address(text: str | None) -> str | None:
    try:
        return str(ipaddress.ip_address(text or ""))
    except ValueError:
        return None
