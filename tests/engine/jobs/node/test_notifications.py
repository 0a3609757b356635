"""A node that tells others of its jobs: every event at least once, under one id, whatever is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.audit import processes_of
from tests.support.jobs import node_config, submit, tiny_story, turn_until, turn_until_ended
from tests.support.kill_points import kill_points, killed_before_line
from tests.support.ledgers import claim, publish
from tests.support.ledgers import submit as submit_row
from tests.support.receiver import SECRET, Receiver, receiver
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from video_pipeline.engine.config import Config
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.collect import begin_reading, collect_events, collect_publications
from video_pipeline.engine.jobs.node.housekeeping import purge
from video_pipeline.engine.jobs.node.notifier import Notifier
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.notify.deliver import deliver_to_target
from video_pipeline.engine.notify.outbox import Outbox, outbox_path
from video_pipeline.engine.publish.base import Post
from video_pipeline.engine.publish.records import Publications, publications_path
from video_pipeline.engine.publish.states import PublicationState

pytestmark = pytest.mark.slow


@pytest.fixture
def shop() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def webhook(folder: Path, url: str, **keys: Any) -> dict[str, Any]:
    file = folder / "secret"
    file.write_text(SECRET)
    return {"url": url, "secret_file": str(file), "allow_private": True, "timeout": FAST_SECONDS, **keys}


def config_of(folder: Path, shop: Receiver, *, cache: Path | None = None, **notifications: Any) -> Config:
    webhooks = {"shop": webhook(folder, shop.url)}
    return node_config(folder, cache=cache, notifications={"webhooks": webhooks, **notifications})


def kinds(shop: Receiver) -> list[str]:
    return [body["type"] for body in shop.got]


def broken_story(name: str) -> dict[str, Any]:
    story = tiny_story(name)
    story["scenes"][0]["image"] = "/no/such/picture.png"
    return story


def test_jobs_are_told_with_their_results_and_commands_get_them(
    tmp_path: Path, session_cache: Path, shop: Receiver
) -> None:
    code = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')"
    done, broken = tmp_path / "done", tmp_path / "broken"
    config = config_of(
        tmp_path,
        shop,
        cache=session_cache,
        on_completed=[sys.executable, "-c", code, str(done)],
        on_failed=[sys.executable, "-c", code, str(broken)],
    )
    with RunningNode(config) as node:
        first = submit(node.ledger, tiny_story("told"))
        turn_until_ended(node, first)
        second = submit(node.ledger, broken_story("broken"))
        turn_until_ended(node, second)
        turn_until(node, lambda: len(shop.got) == 2 and done.exists() and broken.exists(), what="both told")
        turn_until(node, lambda: node.notifications.numbers()["waiting"] == 0, what="all stored")
        assert node.notifications.numbers()["dead"] == 0
    assert processes_of(node.folders.state) == {}
    good, bad = shop.got
    assert (good["type"], bad["type"]) == ("job.completed", "job.failed")
    assert good["data"]["job"]["job_id"] == first
    assert good["data"]["job"]["result"]["video_path"].endswith("told.mp4")
    assert good["id"] == shop.ids[0]
    assert bad["data"]["job"]["error_type"]
    assert json.loads(done.read_text())["id"] == good["id"]
    assert json.loads(broken.read_text())["id"] == bad["id"]
    assert shop.problems == []


def test_a_receiver_that_hangs_delays_neither_jobs_nor_another_receiver(
    tmp_path: Path, session_cache: Path, shop: Receiver
) -> None:
    with receiver() as slow:
        slow.always = "drip"
        config = config_of(tmp_path, shop, cache=session_cache)
        hooks = {"shop": webhook(tmp_path, shop.url), "slow": webhook(tmp_path, slow.url)}
        config = config_of(tmp_path, shop, cache=session_cache, webhooks=hooks)
        with RunningNode(config) as node:
            longest = 0.0
            for name in ("one", "two", "three"):
                job = submit(node.ledger, tiny_story(name))
                while node.ledger.jobs.get(job).status not in ("completed", "failed"):  # type: ignore[union-attr]
                    began = time.monotonic()
                    node.turn()
                    longest = max(longest, time.monotonic() - began)
            turn_until(node, lambda: kinds(shop) == ["job.completed"] * 3, what="told")
            turn_until(node, lambda: slow.ids, what="a request to the one that hangs")
            assert slow.got == []
            assert longest < PROMPT_SECONDS
    assert processes_of(node.folders.state) == {}


def test_a_node_without_anything_to_tell_runs_no_process_and_one_at_rest_ends_it(
    tmp_path: Path, session_cache: Path, shop: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunningNode(node_config(tmp_path / "quiet", cache=session_cache)) as node:
        turn_until_ended(node, submit(node.ledger, tiny_story("quiet")))
        assert node.notifications.pid is None
        assert not outbox_path(node.config).exists()
    config = config_of(tmp_path, shop, cache=session_cache)
    with RunningNode(config) as node:
        until = time.monotonic() + 2
        turn_until(node, lambda: time.monotonic() > until, what="two seconds")
        assert node.notifications.pid is None
        turn_until_ended(node, submit(node.ledger, tiny_story("one")))
        turn_until(node, lambda: kinds(shop) == ["job.completed"], what="told")
        turn_until(node, lambda: node.notifications.pid is None, seconds=60, what="the process has ended")
        until = time.monotonic() + 3
        turn_until(node, lambda: time.monotonic() > until, what="three seconds")
        assert node.notifications.pid is None


def test_the_process_that_delivers_is_replaced_when_it_is_killed(
    tmp_path: Path, session_cache: Path, shop: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("video_pipeline.engine.jobs.node.notifications.RESTART_SECONDS", 0.1)
    shop.always = "500 Broken"
    config = config_of(tmp_path, shop, cache=session_cache)
    with RunningNode(config) as node:
        turn_until_ended(node, submit(node.ledger, tiny_story("killed")))
        turn_until(node, lambda: shop.ids, what="a try")
        assert node.notifications.pid is not None
        os.kill(node.notifications.pid, signal.SIGKILL)
        shop.always = ""
        turn_until(node, lambda: kinds(shop) == ["job.completed"], what="told")
    assert len(set(shop.ids)) == 1


def a_ledger(config: Config) -> Ledger:
    return Ledger(Folders.of(config).ledger)


@pytest.mark.parametrize(
    ("modules", "stride", "least"),
    [("video_pipeline.engine.notify", 17, 200), ("video_pipeline.engine.jobs.node.collect", 5, 40)],
)
def test_a_process_killed_before_any_line_loses_no_event_and_changes_no_id(
    tmp_path: Path, shop: Receiver, modules: str, stride: int, least: int
) -> None:
    ready = config_of(tmp_path / "ready", shop) if (tmp_path / "ready").mkdir() is None else None
    assert ready is not None
    with a_ledger(ready) as ledger:
        outbox = Outbox(outbox_path(ready))
        begin_reading(ledger, outbox, ready)
        outbox.close()
        jobs = [submit_row(ledger, f"story{number}") for number in range(3)]
        for _ in jobs:
            publish(ledger, claim(ledger), video_path="x.mp4")
    point, stride = kill_points(stride)
    whole: set[str] = set()
    while True:
        folder = tmp_path / f"at{point}"
        folder.mkdir()
        shutil.copytree(Folders.of(ready).state, folder / "state")
        config = config_of(folder, shop)

        def tell(config: Config = config) -> None:
            with a_ledger(config) as ledger:
                outbox = Outbox(outbox_path(config))
                collect_events(ledger, outbox, config)
                deliver_to_target(outbox, "webhook/shop", config)
                outbox.close()

        shop.got.clear()
        was_killed = killed_before_line(point, tell, modules=modules)
        tell()
        assert {body["data"]["job"]["job_id"] for body in shop.got} == set(jobs)
        whole |= {body["id"] for body in shop.got}
        assert len(whole) == 3, "an event has the same id however often it is told"
        outbox = Outbox(outbox_path(config))
        assert {note.state for note in outbox.listed()} == {"delivered"}
        outbox.close()
        if not was_killed:
            break
        point += stride
    assert point > least, "telling became shorter than this test believes"
    assert shop.problems == []


def test_jobs_are_not_deleted_before_their_events_were_read(tmp_path: Path, shop: Receiver) -> None:
    config = config_of(tmp_path, shop, give_up_days=1)
    config = config.override("node", keep_days=1e-9)
    folders = Folders.of(config)
    folders.make()
    with a_ledger(config) as ledger:
        outbox = Outbox(outbox_path(config))
        begin_reading(ledger, outbox, config)
        job = submit_row(ledger, "gone")
        publish(ledger, claim(ledger), video_path="x.mp4")
        time.sleep(0.01)
        assert ledger.jobs.purge(1e-9, read_until=0) == 0
        assert purge(ledger, folders, config)["jobs"] == 1
        assert ledger.jobs.get(job) is None
        (note,) = outbox.listed()
        assert json.loads(note.body)["data"]["job"]["job_id"] == job
        outbox.close()


def test_a_ledger_that_is_an_older_copy_and_a_new_target_begin_with_what_happens_now(
    tmp_path: Path, shop: Receiver
) -> None:
    config = config_of(tmp_path, shop)
    with a_ledger(config) as ledger:
        submit_row(ledger, "before")
        publish(ledger, claim(ledger), video_path="x.mp4")
        outbox = Outbox(outbox_path(config))
        begin_reading(ledger, outbox, config)
        collect_events(ledger, outbox, config)
        assert outbox.listed() == []
        with outbox.writing() as db:
            outbox.set_position("ledger", 10_000, db)
        begin_reading(ledger, outbox, config)
        submit_row(ledger, "after")
        publish(ledger, claim(ledger), video_path="x.mp4")
        collect_events(ledger, outbox, config)
        assert len(outbox.listed()) == 1
        begin_reading(ledger, outbox, node_config(tmp_path))
        assert outbox.position("ledger") is None
        outbox.close()


def test_a_lost_gpu_is_told_until_a_job_is_encoded_by_nvenc_without_a_loss(
    tmp_path: Path, shop: Receiver
) -> None:
    config = config_of(tmp_path, shop, alerts={"webhooks": {"ops": webhook(tmp_path, shop.url)}}, webhooks={})
    with a_ledger(config) as ledger:
        outbox = Outbox(outbox_path(config))
        begin_reading(ledger, outbox, config)
        for name, encoder, lost in (
            ("one", "h264_nvenc", {"1": "does not answer"}),
            ("two", "h264_nvenc", {"1": "does not answer"}),
            ("cpu", "libx264", {}),
            ("good", "h264_nvenc", {}),
        ):
            submit_row(ledger, name)
            publish(ledger, claim(ledger), encoder=encoder, encoder_sessions={"lost_gpus": lost})
            collect_events(ledger, outbox, config)
            told = [json.loads(note.body)["data"] for note in outbox.listed()]
            titles = [each["title"] for each in told]
            assert titles == ["GPU lost", "works again: GPU lost"][: 2 if name == "good" else 1]
        assert "GPU 1: does not answer" in told[0]["text"]
        assert told[1]["suppressed"] == 1
        outbox.close()


def test_publications_are_told_when_their_state_changes(tmp_path: Path, shop: Receiver) -> None:
    hooks = {"shop": webhook(tmp_path, shop.url, events=["published", "publication_held"])}
    config = config_of(tmp_path, shop, webhooks=hooks)
    outbox = Outbox(outbox_path(config))
    collect_publications(outbox, config)
    video = tmp_path / "v.mp4"
    video.write_bytes(b"video")
    records = Publications(publications_path(config))
    added = records.add(
        Post(video=video, sha256="0" * 64, size=5, duration=1.0, title="T"),
        platform="folder",
        account="default",
    )
    collect_publications(outbox, config)
    records.move(added, PublicationState.HELD, error="no account")
    collect_publications(outbox, config)
    collect_publications(outbox, config)
    records.close()
    (note,) = outbox.listed()
    assert note.type == "publication.held"
    assert json.loads(note.body)["data"]["publication"]["error"] == "no account"
    outbox.close()


def test_a_full_disk_is_told_and_that_there_is_room_again(
    tmp_path: Path, session_cache: Path, shop: Receiver
) -> None:
    config = node_config(
        tmp_path,
        cache=session_cache,
        notifications={"alerts": {"webhooks": {"ops": webhook(tmp_path, shop.url)}}},
    )
    with RunningNode(config) as node:
        full: dict[str, str] = {"disk full": "node.state_path: 3 MB free"}
        standing: dict[str, str] = {}
        until = time.monotonic() + 3
        turn_until(node, lambda: time.monotonic() > until, what="three seconds")
        assert shop.got == []

        def poll(faults: dict[str, str], condition: Any) -> None:
            def told() -> bool:
                node.notifications.poll(lambda: faults)
                return bool(condition())

            wait_until(told, what="an alert")

        poll(full, lambda: kinds(shop) == ["alert.raised"])
        poll(standing, lambda: kinds(shop) == ["alert.raised", "alert.recovered"])
        job = submit(node.ledger, broken_story("alerted"))
        turn_until_ended(node, job)
        turn_until(node, lambda: len(shop.got) == 3, what="the failed job")
    assert "disk full" in shop.got[0]["data"]["title"]
    assert shop.got[1]["data"]["title"] == "works again: node: disk full"
    assert shop.got[2]["data"]["title"].startswith("jobs fail: ")
    assert job in shop.got[2]["data"]["text"]


def test_alerts_reach_their_target_although_the_outbox_cannot_be_written(
    tmp_path: Path, session_cache: Path, shop: Receiver
) -> None:
    config = node_config(
        tmp_path,
        cache=session_cache,
        notifications={"alerts": {"webhooks": {"ops": webhook(tmp_path, shop.url)}}},
    )
    outbox_path(config).mkdir(parents=True)  # what cannot be opened as a file
    with RunningNode(config) as node:
        turn_until(node, lambda: shop.got, what="an alert")
        until = time.monotonic() + 15
        turn_until(node, lambda: time.monotonic() > until, what="another try of the process")
    assert [(body["type"], body["data"]["cause"]) for body in shop.got] == [
        ("alert.raised", "node: outbox trouble")
    ]


def test_a_ledger_that_was_moved_is_told_and_no_new_one_is_made(tmp_path: Path, shop: Receiver) -> None:
    config = node_config(
        tmp_path, notifications={"alerts": {"webhooks": {"ops": webhook(tmp_path, shop.url)}}}
    )
    stop = threading.Event()
    notifier = Notifier(config, stop)
    notifier.set_faults({"ledger trouble": "the ledger was moved"})
    thread = threading.Thread(target=notifier.run)
    thread.start()
    wait_until(lambda: shop.got, what="an alert")
    stop.set()
    thread.join()
    assert shop.got[0]["data"]["cause"] == "node: ledger trouble"
    assert not Folders.of(config).ledger.exists()
