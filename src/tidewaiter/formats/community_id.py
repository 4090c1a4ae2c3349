"""Community ID of flows: the one key under which different sensors name the same flow.

Source: the Community ID Flow Hashing specification, version 1: base64 of SHA-1 over seed, lower endpoint, higher endpoint,
protocol, a zero byte, lower port, higher port. ICMP types stand for ports: a message that asks stands with the type that
answers, others are one-way and keep their order.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import ipaddress
import struct

_PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "ipv6-icmp": 58, "sctp": 132}
_WITH_PORTS = frozenset({6, 17, 132})
_ICMP = 1
_ICMP_6 = 58
_ANSWERS_4 = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 10: 9, 9: 10, 17: 18, 18: 17}
_ANSWERS_6 = {
    128: 129,
    129: 128,
    133: 134,
    134: 133,
    135: 136,
    136: 135,
    130: 131,
    131: 130,
    144: 145,
    145: 144,
    139: 140,
    140: 139,
}


@functools.lru_cache(maxsize=16_384)
def community_id(
    transport: str | None, src_ip: str | None, src_port: int | None, dst_ip: str | None, dst_port: int | None, seed: int = 0
) -> str | None:
    """The id `1:...` of a flow, or None where the addresses are none or the ports that the protocol has are unknown.

    For ICMP the ports are the type and the code of the first message. A transport may be a number in text.
    """
    if src_ip is None or dst_ip is None or transport is None:
        return None
    try:
        src, dst = _address(src_ip), _address(dst_ip)
    except ValueError:
        return None
    name = transport.lower()
    number = int(name) if name.isascii() and name.isdecimal() and len(name) < 4 else _PROTOCOLS.get(name)
    if number is None or number > 255 or src.version != dst.version or not 0 <= seed <= 0xFFFF:
        return None
    if number == _ICMP and src.version == 6:
        number = _ICMP_6
    one_way = False
    if number in (_ICMP, _ICMP_6):
        if src_port is None:
            return None
        answers = _ANSWERS_4 if number == _ICMP else _ANSWERS_6
        answer = answers.get(src_port)
        one_way = answer is None
        dst_port = (dst_port or 0) if answer is None else answer
    elif number in _WITH_PORTS and (src_port is None or dst_port is None):
        return None
    return _hash(seed, number, src.packed, src_port, dst.packed, dst_port, one_way)


_address = functools.lru_cache(maxsize=8_192)(ipaddress.ip_address)


def _hash(
    seed: int, number: int, src: bytes, src_port: int | None, dst: bytes, dst_port: int | None, one_way: bool
) -> str | None:
    ports = number in _WITH_PORTS or number in (_ICMP, _ICMP_6)
    first, second = src_port or 0, dst_port or 0
    if not (0 <= first <= 0xFFFF and 0 <= second <= 0xFFFF):
        return None
    if not one_way and (src, first if ports else 0) > (dst, second if ports else 0):
        src, dst, first, second = dst, src, second, first
    data = struct.pack("!H", seed) + src + dst + struct.pack("!BB", number, 0)
    if ports:
        data += struct.pack("!HH", first, second)
    return "1:" + base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii")
