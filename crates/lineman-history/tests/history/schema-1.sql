-- A history as the first schema had it, with one run. Never changed.
PRAGMA auto_vacuum = incremental;
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL,
    configuration TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT NOT NULL,
    complete INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    lineman_version TEXT NOT NULL,
    vantage TEXT,
    host TEXT NOT NULL
) STRICT;
CREATE INDEX run_configuration ON run (configuration, id);

-- One integration in one run: `verdict` is of what ran, `state` of all that is known then.
CREATE TABLE outcome (
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (id) ON DELETE CASCADE,
    integration TEXT NOT NULL,
    provider TEXT NOT NULL,
    plugin_version TEXT NOT NULL,
    plugin_sha256 TEXT NOT NULL,
    verdict TEXT NOT NULL,
    state TEXT NOT NULL,
    cause TEXT,
    message TEXT
) STRICT;
CREATE INDEX outcome_run ON outcome (run);
CREATE INDEX outcome_integration ON outcome (integration, id);

CREATE TABLE result (
    outcome INTEGER NOT NULL REFERENCES outcome (id) ON DELETE CASCADE,
    "check" TEXT NOT NULL,
    level TEXT NOT NULL,
    required INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    blocked_by TEXT,
    duration_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX result_outcome ON result (outcome);

CREATE TABLE finding (
    outcome INTEGER NOT NULL REFERENCES outcome (id) ON DELETE CASCADE,
    "check" TEXT NOT NULL,
    code TEXT NOT NULL,
    cause TEXT NOT NULL,
    confidence TEXT NOT NULL,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    suppressed INTEGER NOT NULL
) STRICT;
CREATE INDEX finding_outcome ON finding (outcome);

-- What an integration was given: fingerprints under a key that is not in this file.
CREATE TABLE given (
    outcome INTEGER NOT NULL REFERENCES outcome (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('secret', 'setting')),
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL
) STRICT;
CREATE INDEX given_outcome ON given (outcome);

-- What the last run that decided a check found.
CREATE TABLE state (
    configuration TEXT NOT NULL,
    integration TEXT NOT NULL,
    "check" TEXT NOT NULL,
    level TEXT NOT NULL,
    required INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    cause TEXT,
    message TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (configuration, integration, "check")
) STRICT, WITHOUT ROWID;

INSERT INTO run VALUES (1, 'run-0', '/etc/lineman.toml', '2026-11-01T00:00:00.000Z', '2026-11-01T00:00:00.000Z', 1, 'fail', '0.1.0', NULL, 'host');
INSERT INTO outcome VALUES (1, 1, 'x', 'p', '1.0.0', '00', 'fail', 'fail', 'credential.invalid', 'it is credential.invalid');
INSERT INTO result VALUES (1, 'p/reach', 'reach', 1, 'pass', NULL, NULL, 1);
INSERT INTO result VALUES (1, 'p/identity', 'identity', 1, 'fail', NULL, NULL, 1);
INSERT INTO finding VALUES (1, 'p/identity', 'p/credential-invalid', 'credential.invalid', 'confirmed', 'fail', 'it is credential.invalid', '', 0);
INSERT INTO given VALUES (1, 'secret', 'token', 'key:old');
INSERT INTO state VALUES ('/etc/lineman.toml', 'x', 'p/reach', 'reach', 1, 'pass', NULL, NULL, NULL, '2026-11-01T00:00:00.000Z');
INSERT INTO state VALUES ('/etc/lineman.toml', 'x', 'p/identity', 'identity', 1, 'fail', NULL, 'credential.invalid', 'it is credential.invalid', '2026-11-01T00:00:00.000Z');
PRAGMA user_version = 1;
