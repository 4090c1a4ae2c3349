"""Certificates that the settings name."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from sink_servers import WebServer, make_certificates
from tidewaiter.errors import UsageError
from tidewaiter.transport.http import HttpClient, HttpError
from tidewaiter.transport.tls import client_context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program to make certificates")
    folder = tmp_path_factory.mktemp("certificates")
    make_certificates(folder)
    return folder


def test_a_context_checks_certificates_and_names() -> None:
    context = client_context()

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_who_we_are_is_shown_to_a_server_that_asks(certificates: Path) -> None:
    files = {name: certificates / name for name in ("ca.pem", "server.pem", "server.key", "other.pem", "other.key")}
    with WebServer(tls=(files["server.pem"], files["server.key"]), clients=files["ca.pem"]) as web:
        known = client_context(files["ca.pem"], files["server.pem"], files["server.key"])
        client = HttpClient(web.url, timeout=2, tls=known)
        assert client.post(b"{}", {}).status == 200
        client.close()
        for context in (
            client_context(files["ca.pem"]),
            client_context(files["ca.pem"], files["other.pem"], files["other.key"]),
        ):
            with pytest.raises(HttpError):
                HttpClient(web.url, timeout=2, tls=context).post(b"{}", {})
        assert len(web.requests) == 1


def test_files_that_are_no_certificates_are_named(certificates: Path, tmp_path: Path) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    for wrong in (tmp_path / "junk.pem", tmp_path / "nowhere.pem", certificates / "server.key"):
        with pytest.raises(UsageError, match=f"ca_file: {wrong}: "):
            client_context(wrong)
        with pytest.raises(UsageError, match=f"certificate_file: {wrong}"):
            client_context(None, wrong, certificates / "server.key")
    with pytest.raises(UsageError, match="key_file is given without"):
        client_context(None, None, certificates / "server.key")


def test_a_key_with_a_password_is_refused_without_asking(certificates: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    command = [
        "openssl",
        "ec",
        "-in",
        str(certificates / "server.key"),
        "-aes256",
        "-passout",
        "pass:hunter2",
        "-out",
        str(locked),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=30)

    with pytest.raises(UsageError, match="its key has a password"):
        client_context(None, certificates / "server.pem", locked)
