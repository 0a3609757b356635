"""What stands wrong in a node's files becomes a cause of alerts, and is none when it is mended."""

from __future__ import annotations

import time
from pathlib import Path

from tests.engine.publish.test_carry_on import a_post
from tests.support.jobs import node_config
from video_pipeline.engine.jobs.node.standing_causes import standing_causes
from video_pipeline.engine.notify.outbox import Outbox, outbox_path
from video_pipeline.engine.publish.accounts import AccountFiles, StoredAccount
from video_pipeline.engine.publish.oauth import Grant, OauthApp
from video_pipeline.engine.publish.records import Publications, publications_path
from video_pipeline.engine.publish.states import PublicationState

DAY = 86_400.0


def test_accounts_that_end_and_posts_that_wait_for_a_person_are_causes_until_they_are_seen_to(
    tmp_path: Path,
) -> None:
    config = node_config(tmp_path)
    outbox = Outbox(outbox_path(config))
    assert standing_causes(config, outbox) == {"dead letters": {}, "publications ": {}, "account ": {}}
    app = OauthApp(client_id="a", client_secret="s3cr3t", auth_uri="c", token_uri="d")
    grant = Grant(access_token="t0ken", refresh_token="f", expires_at=time.time() + DAY)
    files = AccountFiles.of(config)
    account = StoredAccount(app=app, grant=grant, added_at=0.0, ends_at=time.time() + 6 * DAY)
    files.save("youtube", "soon", account)
    files.save("youtube", "later", account.model_copy(update={"ends_at": time.time() + 8 * DAY}))
    files.save("youtube", "broken", account)
    files.path("youtube", "broken").write_text("{")
    records = Publications(publications_path(config))
    for number, state in enumerate((PublicationState.HELD, PublicationState.FAILED)):
        added = records.add(a_post(tmp_path, b"%d" % number), platform="folder", account="default")
        records.move(added, state, error="the share is away")
    found = standing_causes(config, outbox)
    assert set(found["account "]) == {"youtube/soon expires", "youtube/broken cannot be used"}
    assert (
        "connect it again: `video-pipeline accounts add youtube soon`"
        in found["account "]["youtube/soon expires"]
    )
    assert list(found["publications "]) == ["held"]
    assert "publication 1 (folder, account default): the share is away" in found["publications "]["held"]
    assert "s3cr3t" not in str(found)
    assert "t0ken" not in str(found)
    files.save("youtube", "soon", account.model_copy(update={"ends_at": None}))
    files.path("youtube", "broken").unlink()
    records.cancel(1)
    records.close()
    assert standing_causes(config, outbox) == {"dead letters": {}, "publications ": {}, "account ": {}}
    outbox.close()
