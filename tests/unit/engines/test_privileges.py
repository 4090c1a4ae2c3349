"""Privileges that are given up are gone: as root in a child process, and for everybody."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from tidewaiter.engines import privileges
from tidewaiter.errors import UsageError

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to give up")
NOBODY = "nobody"
TELL = """
import json, os, resource, sys
from pathlib import Path
from tidewaiter.engines import privileges
{act}
rows = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
path = Path("/proc/self/fd")
print(json.dumps({{
    "uid": os.getresuid(), "gid": os.getresgid(), "groups": os.getgroups(), "umask": os.umask(0),
    "core": resource.getrlimit(resource.RLIMIT_CORE), "no_new_privileges": rows["NoNewPrivs"].strip(),
    "capabilities": [rows[name].strip().strip("0") for name in ("CapPrm", "CapEff", "CapAmb", "CapBnd")],
}}))
"""


def told(act: str) -> dict[str, object]:
    import json

    done = subprocess.run([sys.executable, "-c", TELL.format(act=act)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_hardened_processes_keep_their_files_to_themselves() -> None:
    found = told("privileges.harden()")

    assert (found["umask"], found["core"], found["no_new_privileges"]) == (0o077, [0, 0], "1")


@root_only
def test_root_becomes_a_user_for_good() -> None:
    account = pwd.getpwnam(NOBODY)
    found = told(f"privileges.become({NOBODY!r})")

    assert found["uid"] == [account.pw_uid] * 3
    assert found["gid"] == [account.pw_gid] * 3
    assert 0 not in list(found["groups"])  # type: ignore[call-overload]
    assert found["capabilities"] == ["", "", "", ""]
    assert (found["umask"], found["core"], found["no_new_privileges"]) == (0o077, [0, 0], "1")


@root_only
@pytest.mark.parametrize("way_back", ["os.setuid(0)", "os.setresuid(0, 0, 0)", "os.setgid(0)", "open('/etc/shadow').read()"])
def test_there_is_no_way_back(way_back: str) -> None:
    code = f"import os\nfrom tidewaiter.engines import privileges\nprivileges.become({NOBODY!r})\n{way_back}\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("PermissionError")


@root_only
def test_a_user_may_become_itself_and_nobody_else() -> None:
    first = f"privileges.become({NOBODY!r}); privileges.become({NOBODY!r})"
    code = f"from tidewaiter.engines import privileges\nprivileges.become({NOBODY!r})\nprivileges.become('daemon')\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)

    assert told(first)["uid"] == [pwd.getpwnam(NOBODY).pw_uid] * 3
    assert "only root can become 'daemon'" in done.stderr


@pytest.mark.parametrize(("name", "says"), [("no-such-user-here", "useradd"), ("root", "without privileges")])
def test_what_cannot_be_is_a_usage_error(name: str, says: str) -> None:
    before = os.umask(0o022)
    os.umask(before)
    with pytest.raises(UsageError, match=says):
        privileges.become(name)
    now = os.umask(before)
    os.umask(now)
    assert now == before
