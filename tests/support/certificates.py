"""Certificates of machines and the authorities that sign them, made by the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class MachinePems:
    """The files of one machine, by the keys of the section `fleet`."""

    tls_cert: Path
    tls_key: Path
    tls_ca: Path

    def keys(self, folder: str) -> dict[str, str]:
        """Return the section's keys for files that lie in a folder."""
        return {name: f"{folder}/{getattr(self, name).name}" for name in ("tls_cert", "tls_key", "tls_ca")}


class Authority:
    """Signs certificates for addresses; all files lie in one folder."""

    def __init__(self, folder: Path, name: str) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("the openssl program is not here to make certificates")
        self._folder, self._name = folder, name
        self.certificate, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        subject = ("-subj", f"/CN={name}")
        _openssl("req", "-x509", *KEY, "-days", "2", *subject, "-out", self.certificate, "-keyout", self._key)

    def machine(self, address: str, name: str, *, days: int = 2) -> MachinePems:
        """Return a machine's files, valid for so many days from now on; with -1, until yesterday."""
        made = MachinePems(self._folder / f"{name}.pem", self._folder / f"{name}.key", self.certificate)
        asked, more = self._folder / f"{name}.csr", self._folder / f"{name}.txt"
        more.write_text(f"subjectAltName=IP:{address}\n")
        _openssl("req", "-new", *KEY, "-subj", f"/CN={name}", "-out", asked, "-keyout", made.tls_key)
        signed = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-extfile", more)
        _openssl("x509", "-req", "-in", asked, *signed, "-days", str(days), "-out", made.tls_cert)
        return made


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
