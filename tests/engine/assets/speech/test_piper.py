"""Piper's server, against a fake by docs/API_HTTP.md and http_server.py of OHF-Voice/piper1-gpl (2026-11-28)."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.service_fakes import service_fake
from tests.support.speech_setup import speaking, speaking_through
from tests.support.speech_vendors import Piper


def test_a_voice_is_looked_up_because_the_server_would_silently_take_another(tmp_path: Path) -> None:
    with speaking("piper", tmp_path, voice="en_US-lessac-medium", speech_rate=2) as run:
        run.say("The lamp was lit.")
        assert [asked.path for asked in run.fake.asked] == ["/voices", "/synthesize"]
        body = json.loads(run.fake.worked[0].body)
        assert (body["voice"], body["length_scale"]) == ("en_US-lessac-medium", 0.5)


def test_an_older_server_answers_at_its_root(tmp_path: Path) -> None:
    vendor = Piper()
    vendor.paths = ("/",)
    with service_fake(vendor) as fake:
        run = speaking_through(fake, tmp_path)
        run.say("The lamp was lit.")
        assert [asked.path for asked in fake.worked] == ["/synthesize", "/"]


def test_it_costs_nothing_and_counts_against_no_limit(tmp_path: Path) -> None:
    with speaking("piper", tmp_path, job=0, day=0) as run:
        run.say("The lamp was lit.")
        assert run.spending.spent == {}
        assert not (tmp_path / "state").exists()
