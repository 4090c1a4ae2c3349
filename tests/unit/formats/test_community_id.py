"""The published test vectors of the Community ID specification (version 1, seed 0), and what has no id."""

from __future__ import annotations

import pytest

from tidewaiter.formats.community_id import community_id

VECTORS = [
    ("icmp6", "fe80::200:86ff:fe05:80da", 135, "fe80::260:97ff:fe07:69ea", 136, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
    ("icmp6", "fe80::260:97ff:fe07:69ea", 136, "fe80::200:86ff:fe05:80da", 135, "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="),
    ("icmp6", "fe80::260:97ff:fe07:69ea", 135, "fe80::200:86ff:fe05:80da", 136, "1:zavyT/cezQr1fmImYCwYnMXbgck="),
    ("icmp6", "3ffe:501:1800:2345::2", 3, "3ffe:507:0:1:200:86ff:fe05:80da", 0, "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="),
    ("icmp6", "3ffe:507:0:1:200:86ff:fe05:80da", 128, "3ffe:501:0:1001::2", 129, "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="),
    ("icmp", "192.168.0.89", 8, "192.168.0.1", 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    ("icmp", "192.168.0.1", 0, "192.168.0.89", 8, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    ("icmp", "10.0.0.1", 11, "10.0.0.2", 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="),
    ("tcp", "2001:470:e5bf:dead:4957:2174:e82c:4887", 63943, "2607:f8b0:400c:c03::1a", 25, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="),
    ("tcp", "2607:f8b0:400c:c03::1a", 25, "2001:470:e5bf:dead:4957:2174:e82c:4887", 63943, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="),
    ("sctp", "192.168.170.8", 7, "192.168.170.56", 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="),
    ("6", "128.232.110.120", 34855, "66.35.250.204", 80, "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
    ("udp", "8.8.8.8", 53, "192.168.1.52", 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
    ("46", "10.1.12.2", None, "10.1.12.1", None, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="),
]


@pytest.mark.parametrize(("transport", "src", "sport", "dst", "dport", "want"), VECTORS)
def test_published_vectors(transport: str, src: str, sport: int | None, dst: str, dport: int | None, want: str) -> None:
    assert community_id(transport, src, sport, dst, dport) == want


def test_both_directions_and_spellings_are_one() -> None:
    there = community_id("tcp", "2001:db8::1", 40_000, "2001:db8:0:0::2", 443)

    assert there == community_id("tcp", "2001:0db8::0002", 443, "2001:db8::1", 40_000)
    assert there != community_id("tcp", "2001:db8::1", 40_000, "2001:db8::2", 443, seed=1)


@pytest.mark.parametrize(
    ("transport", "src", "sport", "dst", "dport"),
    [
        (None, "192.0.2.1", 1, "192.0.2.2", 2),
        ("tcp", "host.example.com", 1, "192.0.2.2", 2),
        ("tcp", "192.0.2.1", None, "192.0.2.2", 2),
        ("tcp", "192.0.2.1", 1, "2001:db8::1", 2),
        ("tcp", "192.0.2.1", 70_000, "192.0.2.2", 2),
        ("carrier-pigeon", "192.0.2.1", 1, "192.0.2.2", 2),
    ],
)
def test_what_has_no_id(transport: str | None, src: str, sport: int | None, dst: str, dport: int | None) -> None:
    assert community_id(transport, src, sport, dst, dport) is None
