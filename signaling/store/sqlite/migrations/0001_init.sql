-- Times are unix milliseconds, IDs 16 random bytes, keys Ed25519 public keys.
CREATE TABLE companies (
	id              BLOB PRIMARY KEY CHECK (length(id) = 16),
	name            TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 120),
	max_sessions    INTEGER NOT NULL DEFAULT 5 CHECK (max_sessions BETWEEN 1 AND 64),
	max_per_profile INTEGER NOT NULL DEFAULT 1 CHECK (max_per_profile BETWEEN 1 AND 64),
	rights          INTEGER NOT NULL CHECK (rights >= 0),
	suspended       INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1)),
	policy          TEXT NOT NULL DEFAULT '{}', -- JSON: second factor, mail, retention; read by versions that know it
	created_at      INTEGER NOT NULL
) STRICT;

CREATE TABLE profiles (
	id         BLOB PRIMARY KEY CHECK (length(id) = 16),
	company_id BLOB NOT NULL REFERENCES companies (id),
	email      TEXT NOT NULL UNIQUE COLLATE NOCASE CHECK (length(email) BETWEEN 3 AND 254),
	name       TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
	password   TEXT NOT NULL,            -- encoded argon2id
	totp_seed  BLOB,                     -- NULL: no second factor yet
	totp_last  INTEGER NOT NULL DEFAULT 0, -- last time step that was accepted: each counts once
	rights     INTEGER NOT NULL CHECK (rights >= 0),
	disabled   INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
	created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX profiles_by_company ON profiles (company_id);

CREATE TABLE roles (
	profile_id BLOB NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
	role       TEXT NOT NULL CHECK (role IN ('technician', 'lead', 'admin')),
	PRIMARY KEY (profile_id, role)
) STRICT, WITHOUT ROWID;

-- Invitations of people into a company (not of customers into a session).
CREATE TABLE invitations (
	id          BLOB PRIMARY KEY CHECK (length(id) = 16),
	company_id  BLOB NOT NULL REFERENCES companies (id),
	email       TEXT NOT NULL COLLATE NOCASE,
	name        TEXT NOT NULL DEFAULT '',
	roles       TEXT NOT NULL,           -- JSON array
	rights      INTEGER NOT NULL,
	token_hash  BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
	invited_by  BLOB REFERENCES profiles (id),
	created_at  INTEGER NOT NULL,
	expires_at  INTEGER NOT NULL,
	used_at     INTEGER,
	revoked_at  INTEGER
) STRICT;

CREATE TABLE consoles (
	id         BLOB PRIMARY KEY CHECK (length(id) = 16),
	profile_id BLOB NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
	key        BLOB NOT NULL CHECK (length(key) = 32),
	name       TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	seen_at    INTEGER NOT NULL,
	revoked_at INTEGER,
	UNIQUE (profile_id, key)
) STRICT;

-- One row a sign-in; its tokens are only valid with the console's key.
CREATE TABLE families (
	id         BLOB PRIMARY KEY CHECK (length(id) = 16),
	console_id BLOB NOT NULL REFERENCES consoles (id) ON DELETE CASCADE,
	created_at INTEGER NOT NULL,
	revoked_at INTEGER
) STRICT;
CREATE INDEX families_by_console ON families (console_id);

CREATE TABLE tokens (
	hash       BLOB PRIMARY KEY CHECK (length(hash) = 32),
	family_id  BLOB NOT NULL REFERENCES families (id) ON DELETE CASCADE,
	kind       TEXT NOT NULL CHECK (kind IN ('access', 'refresh')),
	generation INTEGER NOT NULL,
	expires_at INTEGER NOT NULL,
	used_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_family ON tokens (family_id);

CREATE TABLE sessions (
	id             BLOB PRIMARY KEY CHECK (length(id) = 16),
	company_id     BLOB NOT NULL REFERENCES companies (id),
	profile_id     BLOB NOT NULL REFERENCES profiles (id),
	console_id     BLOB NOT NULL REFERENCES consoles (id),
	label          TEXT NOT NULL,
	language       TEXT NOT NULL CHECK (language IN ('en', 'de')),
	state          TEXT NOT NULL CHECK (state IN ('invited', 'answered', 'pairing', 'active', 'ending', 'ended', 'removed', 'unconfirmed')),
	created_at     INTEGER NOT NULL,
	invite_expires INTEGER NOT NULL,
	activated_at   INTEGER,
	expires_at     INTEGER,
	ended_at       INTEGER,
	ended_by       TEXT,
	removed_at     INTEGER,
	host_key       BLOB CHECK (length(host_key) = 32),
	host_instance  BLOB CHECK (length(host_instance) = 16),
	offer          TEXT NOT NULL, -- signed facts, JSON
	act_console    TEXT,
	act_host       TEXT,
	grant_fact     TEXT,
	ended_fact     TEXT,
	removed_fact   TEXT,
	rev            INTEGER NOT NULL,
	CHECK (state <> 'active' OR (grant_fact IS NOT NULL AND expires_at IS NOT NULL AND host_key IS NOT NULL)),
	CHECK (expires_at IS NULL OR expires_at <= activated_at + 86400000),
	CHECK (state NOT IN ('ending', 'ended', 'removed', 'unconfirmed') OR (ended_at IS NOT NULL AND ended_by IS NOT NULL))
) STRICT;
CREATE INDEX sessions_by_profile ON sessions (profile_id, created_at);
CREATE INDEX sessions_by_company ON sessions (company_id, created_at);
CREATE INDEX sessions_by_state ON sessions (state, expires_at, invite_expires);

-- The limits. A live session holds one numbered place of its profile and one of
-- its company; the unique keys make it impossible to hold the same twice, so a
-- limit of n is n numbers.
CREATE TABLE places (
	session_id    BLOB PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
	company_id    BLOB NOT NULL REFERENCES companies (id),
	company_place INTEGER NOT NULL CHECK (company_place BETWEEN 0 AND 63),
	profile_id    BLOB NOT NULL REFERENCES profiles (id),
	profile_place INTEGER NOT NULL CHECK (profile_place BETWEEN 0 AND 63),
	UNIQUE (company_id, company_place),
	UNIQUE (profile_id, profile_place)
) STRICT;

-- Which key a host program first came with.
CREATE TABLE instances (
	session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
	instance   BLOB NOT NULL CHECK (length(instance) = 16),
	key        BLOB NOT NULL CHECK (length(key) = 32),
	seen_at    INTEGER NOT NULL,
	PRIMARY KEY (session_id, instance)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
	seq        INTEGER PRIMARY KEY,
	at         INTEGER NOT NULL,
	company_id BLOB NOT NULL,
	session_id BLOB NOT NULL,
	actor_kind TEXT NOT NULL,
	actor_id   TEXT NOT NULL,
	kind       TEXT NOT NULL,
	detail     TEXT NOT NULL,
	prev       BLOB NOT NULL CHECK (length(prev) = 32),
	hash       BLOB NOT NULL UNIQUE CHECK (length(hash) = 32)
) STRICT;
CREATE INDEX audit_by_session ON audit (session_id, seq);
CREATE TRIGGER audit_is_append_only_u BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'audit entries never change'); END;
CREATE TRIGGER audit_is_append_only_d BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'audit entries are never deleted'); END;

CREATE TABLE checkpoints (
	seq  INTEGER PRIMARY KEY REFERENCES audit (seq),
	hash BLOB NOT NULL CHECK (length(hash) = 32),
	at   INTEGER NOT NULL,
	sig  BLOB NOT NULL CHECK (length(sig) = 64)
) STRICT;
