"""The configurations say what they do, and turn on what our readers read: no more and no less."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidewaiter import log_source
from tidewaiter.catalog import sensor_files, sensors
from tidewaiter.catalog.sensor_files import SensorFile
from tidewaiter.errors import KnowledgeError, UsageError
from tidewaiter.log_sources import linux_auditd, linux_sysmon
from tidewaiter.log_sources.suricata_eve.sessions import BUILDERS as EVE_TYPES
from tidewaiter.log_sources.windows_powershell import Source as PowerShell
from tidewaiter.log_sources.windows_sysmon import Source as Sysmon
from tidewaiter.log_sources.zeek.logs import BUILDERS as ZEEK_LOGS
from tidewaiter.prevention import configurations
from tidewaiter.prevention.configurations import named, render
from tidewaiter.schema.event import EventKind
from tidewaiter.schema.transfer import STAGES

ALL = sensor_files.load()
SENSORS = [one for one in ALL if one.log_source is not None]
SYSMON_EVENTS = {
    "ProcessCreate": ("1",),
    "FileCreateTime": ("2",),
    "NetworkConnect": ("3",),
    "ProcessTerminate": ("5",),
    "DriverLoad": ("6",),
    "ImageLoad": ("7",),
    "CreateRemoteThread": ("8",),
    "RawAccessRead": ("9",),
    "ProcessAccess": ("10",),
    "FileCreate": ("11",),
    "RegistryEvent": ("13",),  # 12 and 14 come with it
    "FileCreateStreamHash": ("15",),
    "PipeEvent": ("17", "18"),
    "WmiEvent": ("19", "20", "21"),
    "DnsQuery": ("22",),
    "FileDelete": ("23",),
    "ClipboardChange": ("24",),
    "ProcessTampering": ("25",),
    "FileDeleteDetected": ("26",),
    "FileBlockExecutable": ("27",),
    "FileBlockShredding": ("28",),
    "FileExecutableDetected": ("29",),
}
"""Elements of a configuration and the ids of their events, as Sysmon's documentation lists them."""
CONDITIONS = {
    *("is", "is any", "is not", "contains", "contains any", "contains all", "excludes", "excludes any", "excludes all"),
    *("begin with", "not begin with", "end with", "not end with", "less than", "more than", "image"),
}
NUMBERED = {"452": "fchmodat2"}  # calls that auditctl does not know by name yet


def listed(ids: str) -> set[str]:
    return {one.strip() for one in ids.split(",")}


def on(sensor: SensorFile) -> set[str]:
    """The ids that a configuration says it turns on."""
    return {one for part in sensor.part for one in part.ids}


def accounted(sensor: SensorFile) -> set[str]:
    """The ids that are on, and those left out with a reason."""
    return on(sensor) | {one for ids in sensor.left_out for one in listed(ids)}


@pytest.mark.parametrize("sensor", ALL, ids=lambda one: str(one.name))
def test_a_configuration_is_complete(sensor: SensorFile) -> None:
    text = render(sensor, "/opt/tidewaiter/bin/tidewaiter")

    assert "@" not in re.sub(r"@(load|system-service|privileged|resources|mount|obsolete)\b", "", text)
    assert all(command in text for command in (*sensor.load, *sensor.check, *sensor.undo))
    assert sensor.undo
    assert max(map(len, text.splitlines())) <= 140
    assert text.endswith("\n")


@pytest.mark.parametrize("sensor", SENSORS, ids=lambda one: str(one.name))
def test_every_part_says_what_it_shows_and_what_it_costs(sensor: SensorFile) -> None:
    kinds = {kind.value for kind in EventKind}
    for part in sensor.part:
        assert {kind.split(":")[0] for kind in part.kinds} <= kinds, part.id
        wholly, partly = configurations.stages(part)
        assert {*wholly, *partly} <= set(STAGES)
        assert bool(part.kinds) == bool(part.ids), part.id
    assert {entry.name for entry in log_source.REGISTER} >= {sensor.log_source}
    assert [part for part in sensor.part if part.cost]


def test_stages_and_components_follow_from_the_kinds_of_event() -> None:
    parts = {part.id: part for part in named("auditd").part}

    assert configurations.stages(parts["exec"]) == (["commanded", "checked", "run", "spread"], [])
    assert configurations.components(parts["exec"]) == ["DC0032 Process Creation", "DC0064 Command Execution"]
    assert configurations.stages(parts["files"]) == (["landed"], [])
    assert configurations.shown(parts["modes"]) == "no stage by itself"
    assert "# Shows: landed. ATT&CK: DC0039 File Creation." in render(named("auditd"))
    assert "(measured)" in render(named("auditd"))
    assert "(an estimate)" in render(named("zeek"))


def test_all_sensors_together_show_every_stage() -> None:
    seen = {stage for sensor in SENSORS for stage in configurations.stages_together(sensor)}

    assert seen >= set(STAGES)
    assert configurations.stages_together(named("suricata")) == ["(connected)", "carried", "(spread)"]


def test_auditd_rules_are_of_the_calls_that_the_reader_maps() -> None:
    rules = [line for line in render(named("auditd")).splitlines() if line.startswith("-")]
    logging = [rule for rule in rules if rule.startswith("-a always,exit")]
    calls = {NUMBERED.get(call, call) for rule in logging for call in rule.partition(" -S ")[2].split()[0].split(",")}

    assert calls == on(named("auditd"))
    assert accounted(named("auditd")) == set(linux_auditd._HANDLERS)
    assert all(re.search(r"-k tidewaiter-[a-z]+$", rule) for rule in logging)
    assert {rule for rule in rules if not rule.startswith("-a ")} == {"-b 16384", "-f 1"}
    native, compatible = ([rule for rule in logging if f"arch={arch}" in rule] for arch in ("b64", "b32"))
    assert len(native) >= 16
    assert {rule.replace("b64", "b32") for rule in native if "accept" not in rule} <= set(compatible)  # i386 has no accept


def test_legacy_calls_are_the_last_part() -> None:
    """Other processors do not know them, and auditctl stops at the first rule that it does not understand."""
    text = render(named("auditd"))
    last = next(part for part in named("auditd").part if part.id == "legacy")
    before, _, after = text.partition(last.says[:40])

    assert not re.search(
        r"^-a always,exit.* -S (\S*,)?(open|creat|link|symlink|rename|chmod|socketcall)(,| )", before, re.MULTILINE
    )
    assert "-S creat,link,symlink -F" in after
    assert named("auditd").part[-1] is last


def filters(root: ElementTree.Element) -> Iterator[tuple[str, ElementTree.Element]]:
    for group in root.iter("RuleGroup"):
        yield from ((element.tag, element) for element in group)


@pytest.mark.parametrize(
    ("name", "schema", "read"),
    [
        ("sysmon-windows", "4.90", {str(number) for numbers in Sysmon.providers.values() for number in numbers}),
        ("sysmon-linux", "4.81", {str(number) for number in linux_sysmon._MAPPED}),
    ],
)
def test_sysmon_turns_on_what_the_reader_maps_and_the_rest_off(name: str, schema: str, read: set[str]) -> None:
    root = ElementTree.fromstring(render(named(name)))
    found = dict(filters(root))
    off = {tag for tag, element in found.items() if element.get("onmatch") == "include" and not len(element)}
    active = {number for tag in found.keys() - off for number in SYSMON_EVENTS[tag]}

    assert root.get("schemaversion") == schema
    assert (root.findtext("HashAlgorithms") or "").split(",")[0] == "SHA256"
    assert active == on(named(name))
    assert accounted(named(name)) == read
    assert not active & {number for tag in off for number in SYSMON_EVENTS[tag]}
    assert {rule.get("condition") for rule in root.iter() if rule.get("condition")} <= CONDITIONS
    assert {element.get("onmatch") for _, element in filters(root)} == {"include", "exclude"}


def test_sysmon_has_at_most_one_filter_of_each_way_for_an_event() -> None:
    for name in ("sysmon-windows", "sysmon-linux"):
        seen = [(tag, element.get("onmatch")) for tag, element in filters(ElementTree.fromstring(render(named(name))))]
        assert len(seen) == len(set(seen))


def test_suricata_logs_the_types_that_the_reader_uses() -> None:
    text = render(named("suricata"))
    types = set(re.findall(r"^  - (\w+)", text, re.MULTILINE))

    assert text.startswith("%YAML 1.1\n---\n")
    assert {"fileinfo" if one == "files" else one for one in types} | {"ftp_data"} == on(named("suricata"))
    assert on(named("suricata")) == set(EVE_TYPES)


def test_zeek_names_the_logs_that_the_reader_uses() -> None:
    text = render(named("zeek"))

    assert accounted(named("zeek")) == set(ZEEK_LOGS)
    assert {name for name in ZEEK_LOGS if f"{name}.log" in text} == set(ZEEK_LOGS)
    assert {"SHA256", "SHA1", "MD5"} == set(re.findall(r"Files::ANALYZER_(\w+)\)", text))
    assert {"SMB::FILE_READ", "SMB::FILE_WRITE"} <= set(re.findall(r"SMB::FILE_\w+", text))  # what joins share and file
    assert text.count("{") == text.count("}")


def test_powershell_values_are_those_of_both_editions() -> None:
    text = render(named("powershell"))
    parser = configparser.RawConfigParser(comment_prefixes=(";",), delimiters=("=",), strict=True)
    parser.read_string(text.partition("\n")[2])
    policies = "HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Microsoft"

    assert text.startswith("Windows Registry Editor Version 5.00\n\n")
    for edition in ("Windows\\PowerShell", "PowerShellCore"):
        assert parser[f"{policies}\\{edition}\\ScriptBlockLogging"]['"enablescriptblocklogging"'] == "dword:00000001"
        assert parser[f"{policies}\\{edition}\\ModuleLogging"]['"enablemodulelogging"'] == "dword:00000001"
        assert parser[f"{policies}\\{edition}\\ModuleLogging\\ModuleNames"]['"*"'] == '"*"'
    read = {str(number) for numbers in PowerShell.providers.values() for number in numbers}
    assert accounted(named("powershell")) == read


def unit(text: str) -> dict[str, dict[str, list[str]]]:
    """Sections of a unit file; a key may come more than once."""
    found: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(section, {}).setdefault(key, []).append(value)
    return found


def test_the_service_is_confined() -> None:
    service = unit(render(named("systemd"), "/opt/tidewaiter/bin/tidewaiter"))["Service"]
    wanted = {
        "ExecStart": "/opt/tidewaiter/bin/tidewaiter watch /etc/tidewaiter/watch.toml",
        "Restart": "always",
        "DynamicUser": "yes",
        "SupplementaryGroups": "adm",
        "ProtectSystem": "strict",
        "StateDirectory": "tidewaiter",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "MemoryMax": "1G",
        "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
        "UMask": "0077",
    }

    assert {key: service[key] for key in wanted} == {key: [value] for key, value in wanted.items()}
    assert service["SystemCallFilter"][0] == "@system-service"
    assert "LoadCredential=" in render(named("systemd"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_accepts_the_service_and_finds_it_confined(tmp_path: Path) -> None:
    program = tmp_path / "tidewaiter"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    path = tmp_path / "tidewaiter-watch.service"
    path.write_text(render(named("systemd"), str(program)))
    verified = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, check=False)
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (verified.returncode, str(path) in verified.stderr) == (0, False), verified.stderr
    assert judged.returncode == 0, judged.stdout[-300:] + judged.stderr  # exposure of at most 2.0 of 10


def test_a_name_that_is_not_there_is_a_usage_error_that_lists_those_that_are() -> None:
    with pytest.raises(UsageError, match="auditd, sysmon-windows"):
        named("no-such")


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('basis = "measured"', 'basis = "guessed"', "basis"),
        ('basis = "measured"\n', "", "without its basis"),
        ('name = "auditd"', 'name = "auditd"\ncolour = "red"', "colour"),
    ],
)
def test_a_wrong_index_is_an_error_that_says_where(before: str, after: str, says: str) -> None:
    text = sensor_files._read("index.toml")
    assert before in text

    with pytest.raises(KnowledgeError, match=says):
        sensor_files.parse(text.replace(before, after, 1), "index.toml")


def test_a_part_without_a_place_in_the_text_is_an_error() -> None:
    with pytest.raises(KnowledgeError, match="exec"):
        sensor_files._agree(named("auditd"), [part.id for part in named("auditd").part if part.id != "exec"])


def test_doctor_points_to_configurations_that_are_there() -> None:
    pointed = {one.configuration for one in sensors.load().setting if one.configuration is not None}

    assert pointed == {sensor.name for sensor in SENSORS} - {"sysmon-linux"}  # auditd gives more than it
