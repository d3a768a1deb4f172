-- Sessions as this console knows them, their records, and its settings.
CREATE TABLE session (
  id       TEXT PRIMARY KEY CHECK (length(id) = 26),
  state    TEXT NOT NULL,
  email    TEXT NOT NULL,
  search   TEXT NOT NULL,              -- lower case: what the history is searched in
  created  INTEGER NOT NULL,           -- unix microseconds
  doc      TEXT NOT NULL CHECK (json_valid(doc)),
  head_seq  INTEGER NOT NULL DEFAULT 0,
  head_hash BLOB NOT NULL DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000' CHECK (length(head_hash) = 32),
  console_key BLOB NOT NULL CHECK (length(console_key) = 32),
  host_key    BLOB NOT NULL CHECK (length(host_key) = 32)
) STRICT;
CREATE INDEX session_created ON session (created DESC);

CREATE TABLE entry (
  session TEXT NOT NULL REFERENCES session (id),
  seq     INTEGER NOT NULL CHECK (seq > 0),
  at      INTEGER NOT NULL,            -- unix microseconds
  actor   TEXT NOT NULL,
  kind    TEXT NOT NULL,
  text    TEXT NOT NULL,
  prev    BLOB NOT NULL CHECK (length(prev) = 32),
  hash    BLOB NOT NULL CHECK (length(hash) = 32),
  signatures TEXT NOT NULL CHECK (json_valid(signatures)),
  PRIMARY KEY (session, seq)
) STRICT, WITHOUT ROWID;

-- The record only grows.
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'the record only grows'); END;
CREATE TRIGGER entry_no_change BEFORE UPDATE OF session, seq, at, actor, kind, text, prev, hash ON entry
BEGIN SELECT RAISE(ABORT, 'the record never changes'); END;

CREATE TABLE setting (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
