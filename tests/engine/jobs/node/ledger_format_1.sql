-- A ledger of format 1: tests/engine/jobs/node/test_upgrade.py starts a node with it.
PRAGMA auto_vacuum = 2;
PRAGMA application_id = 1448102983;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        position INTEGER NOT NULL,
        owner TEXT NOT NULL,
        kind TEXT NOT NULL,
        status TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        details TEXT NOT NULL
    ) STRICT;
INSERT INTO "events" VALUES(1,1.79594259607496809956e+09,1,'tester','queued','queued',0,'{}');
INSERT INTO "events" VALUES(2,1.79594259607612371449e+09,1,'tester','processing','processing',1,'{}');
INSERT INTO "events" VALUES(3,1.79594259607698273663e+09,1,'tester','failed','failed',1,'{"error_type":"scene ''a'': got no text","error_message":"permanent"}');
INSERT INTO "events" VALUES(4,1.79594259607981801031e+09,2,'tester','queued','queued',0,'{}');
INSERT INTO "events" VALUES(5,1.79594259608083939554e+09,2,'tester','processing','processing',1,'{}');
INSERT INTO "events" VALUES(6,1.79594259608179163938e+09,2,'tester','completed','completed',1,'{}');
INSERT INTO "events" VALUES(7,1.7959425960821926594e+09,3,'tester','queued','queued',0,'{}');
INSERT INTO "events" VALUES(8,1.7959425960841505528e+09,3,'tester','processing','processing',1,'{}');
INSERT INTO "events" VALUES(9,1.79594259608467650413e+09,3,'tester','cancelled','cancelled',1,'{}');
INSERT INTO "events" VALUES(10,1.79594259608510947224e+09,4,'tester','queued','queued',0,'{}');
INSERT INTO "events" VALUES(11,1.79594259608805894854e+09,4,'tester','processing','processing',1,'{}');
INSERT INTO "events" VALUES(12,1.79594259608857965472e+09,5,'tester','queued','queued',0,'{}');
CREATE TABLE jobs (
        position INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL UNIQUE,
        owner TEXT NOT NULL,
        key TEXT,
        digest TEXT NOT NULL,
        story_id TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('queued', 'processing', 'completed', 'failed', 'cancelled')),
        priority INTEGER NOT NULL CHECK (priority BETWEEN 0 AND 2),
        ageing_us INTEGER NOT NULL,
        order_key INTEGER NOT NULL,
        due_wall REAL,
        due_monotonic REAL,
        retry_in REAL,
        attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
        max_attempts INTEGER NOT NULL,
        interruptions INTEGER NOT NULL DEFAULT 0,
        requeues INTEGER NOT NULL DEFAULT 0,
        fence INTEGER NOT NULL DEFAULT 0,
        publishing INTEGER NOT NULL DEFAULT 0 CHECK (publishing = 0 OR status = 'processing'),
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        created_at REAL NOT NULL,
        scheduled_for REAL,
        started_at REAL,
        finished_at REAL,
        stage TEXT,
        percent REAL,
        fps REAL,
        eta_seconds REAL,
        error_type TEXT,
        error_message TEXT,
        log_tail TEXT,
        result TEXT
    ) STRICT;
INSERT INTO "jobs" VALUES(1,'job-6b0be8c4136278f454e720e5','tester',NULL,'','failed','failed',1,600000000,17026379507,NULL,NULL,NULL,1,1,0,0,1,0,0,1.79594259607496809956e+09,NULL,1.79594259607604837414e+09,1.79594259607686877245e+09,NULL,NULL,NULL,NULL,'scene ''a'': got no text','permanent','[]',NULL);
INSERT INTO "jobs" VALUES(2,'job-6b0be8c414c002f52ffadd10','tester',NULL,'','completed','completed',1,600000000,17026384356,NULL,NULL,NULL,1,3,0,0,1,0,0,1.79594259607981801031e+09,NULL,1.79594259608079838755e+09,1.79594259608167982102e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{"video_path":"/srv/videos/job-6b0be8c414c002f52ffadd10/completed.mp4"}');
INSERT INTO "jobs" VALUES(3,'job-6b0be8c415e07003056fb7f3','tester',NULL,'','cancelled','cancelled',1,600000000,17026386695,NULL,NULL,NULL,1,3,0,0,1,0,1,1.7959425960821926594e+09,NULL,1.79594259608411049846e+09,1.79594259608454942704e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(4,'job-6b0be8c41560038f51285476','tester',NULL,'','processing','processing',1,600000000,17026389618,NULL,NULL,NULL,1,3,0,0,1,0,0,1.79594259608510947224e+09,NULL,1.79594259608801221843e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(5,'job-6b0be8c41629649cc3053298','tester',NULL,'','queued','queued',1,600000000,17026393092,NULL,NULL,NULL,0,3,0,0,0,0,0,1.79594259608857965472e+09,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE payloads (
        position INTEGER PRIMARY KEY,
        story TEXT NOT NULL,
        config TEXT NOT NULL
    ) STRICT;
INSERT INTO "payloads" VALUES(1,'{"id":"failed","title":"Story failed","metadata":{"genre":"mystery","language":"en"},"scenes":[{"scene_id":"a","text":"Words a","narration":"","duration":0.5},{"scene_id":"b","text":"Words b","narration":"","duration":0.5}]}','{}');
INSERT INTO "payloads" VALUES(3,'{"id":"cancelled","title":"Story cancelled","metadata":{"genre":"mystery","language":"en"},"scenes":[{"scene_id":"a","text":"Words a","narration":"","duration":0.5},{"scene_id":"b","text":"Words b","narration":"","duration":0.5}]}','{}');
INSERT INTO "payloads" VALUES(4,'{"id":"processing","title":"Story processing","metadata":{"genre":"mystery","language":"en"},"scenes":[{"scene_id":"a","text":"Words a","narration":"","duration":0.5},{"scene_id":"b","text":"Words b","narration":"","duration":0.5}]}','{}');
INSERT INTO "payloads" VALUES(5,'{"id":"queued","title":"Story queued","metadata":{"genre":"mystery","language":"en"},"scenes":[{"scene_id":"a","text":"Words a","narration":"","duration":0.5},{"scene_id":"b","text":"Words b","narration":"","duration":0.5}]}','{}');
CREATE TABLE queue_clock (queue_us INTEGER NOT NULL, monotonic_us INTEGER NOT NULL) STRICT;
INSERT INTO "queue_clock" VALUES(16426393092,16426393092);
CREATE TABLE tallies (
        status TEXT NOT NULL,
        priority INTEGER NOT NULL,
        owner TEXT NOT NULL,
        n INTEGER NOT NULL,
        PRIMARY KEY (status, priority, owner)
    ) WITHOUT ROWID, STRICT;
INSERT INTO "tallies" VALUES('cancelled',1,'tester',1);
INSERT INTO "tallies" VALUES('completed',1,'tester',1);
INSERT INTO "tallies" VALUES('failed',1,'tester',1);
INSERT INTO "tallies" VALUES('processing',1,'tester',1);
INSERT INTO "tallies" VALUES('queued',1,'tester',1);
CREATE UNIQUE INDEX jobs_key ON jobs (owner, key) WHERE key IS NOT NULL;
CREATE INDEX jobs_ready ON jobs (order_key)
       WHERE status = 'queued' AND due_wall IS NULL AND due_monotonic IS NULL;
CREATE INDEX jobs_due_wall ON jobs (due_wall) WHERE due_wall IS NOT NULL;
CREATE INDEX jobs_due_monotonic ON jobs (due_monotonic) WHERE due_monotonic IS NOT NULL;
CREATE INDEX jobs_processing ON jobs (cancel_requested) WHERE status = 'processing';
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_status ON jobs (status);
CREATE INDEX jobs_owner ON jobs (owner);
CREATE INDEX jobs_owner_status ON jobs (owner, status);
CREATE INDEX events_position ON events (position);
CREATE INDEX events_owner ON events (owner);
CREATE TRIGGER jobs_added AFTER INSERT ON jobs BEGIN INSERT INTO tallies VALUES (new.status, new.priority, new.owner, 1) ON CONFLICT DO UPDATE SET n = n + 1; END;
CREATE TRIGGER jobs_removed AFTER DELETE ON jobs BEGIN INSERT INTO tallies VALUES (old.status, old.priority, old.owner, -1) ON CONFLICT DO UPDATE SET n = n + -1; END;
CREATE TRIGGER jobs_moved AFTER UPDATE OF status ON jobs WHEN old.status <> new.status
        BEGIN INSERT INTO tallies VALUES (old.status, old.priority, old.owner, -1) ON CONFLICT DO UPDATE SET n = n + -1; INSERT INTO tallies VALUES (new.status, new.priority, new.owner, 1) ON CONFLICT DO UPDATE SET n = n + 1; END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',5);
INSERT INTO "sqlite_sequence" VALUES('events',12);
COMMIT;
