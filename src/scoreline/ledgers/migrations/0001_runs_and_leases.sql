-- Who this ledger is: published files name it, so that two ledgers cannot publish to one place unnoticed.
CREATE TABLE ledger (
    id TEXT NOT NULL
);

-- One row per run. Times are for people; order is by sequence.
CREATE TABLE runs (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id      TEXT NOT NULL UNIQUE,
    job         TEXT NOT NULL,
    partition   TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    token       INTEGER NOT NULL,
    started_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL,
    facts       TEXT NOT NULL,
    prepared    TEXT NOT NULL
);
CREATE INDEX runs_by_partition ON runs (job, partition, sequence);

-- One row per (job, partition) for ever, so that tokens only grow. run_id is null while nobody holds it.
-- expires is in seconds since the boot that the row names: no clock that people can set.
CREATE TABLE leases (
    job         TEXT NOT NULL,
    partition   TEXT NOT NULL,
    token       INTEGER NOT NULL,
    run_id      TEXT,
    owner       TEXT NOT NULL,
    boot        TEXT NOT NULL,
    expires     REAL NOT NULL,
    PRIMARY KEY (job, partition)
) WITHOUT ROWID;
