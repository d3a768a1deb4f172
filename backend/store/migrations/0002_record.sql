-- Entries get a version, details and the host's own word. Where the record was
-- continued in two places, what lost stays, put aside. Which entries the server
-- has: 0 none, 1 without the host's signature, 2 whole.
DROP TRIGGER entry_no_delete;
DROP TRIGGER entry_no_change;
ALTER TABLE entry RENAME TO entry_v1;
CREATE TABLE entry (
  session TEXT NOT NULL REFERENCES session (id),
  seq     INTEGER NOT NULL CHECK (seq > 0),
  aside   INTEGER NOT NULL DEFAULT 0 CHECK (aside IN (0, 1)),
  v       INTEGER NOT NULL,
  at      INTEGER NOT NULL,            -- unix microseconds
  actor   TEXT NOT NULL,
  kind    TEXT NOT NULL,
  text    TEXT NOT NULL,
  details TEXT CHECK (details IS NULL OR json_valid(details)),
  fact    TEXT CHECK (fact IS NULL OR json_valid(fact)), -- grant.Signed
  prev    BLOB NOT NULL CHECK (length(prev) = 32),
  hash    BLOB NOT NULL CHECK (length(hash) = 32),
  signatures TEXT NOT NULL CHECK (json_valid(signatures)),
  sent    INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (session, seq, hash)
) STRICT, WITHOUT ROWID;
INSERT INTO entry (session, seq, v, at, actor, kind, text, prev, hash, signatures)
  SELECT session, seq, 1, at, actor, kind, text, prev, hash, signatures FROM entry_v1;
DROP TABLE entry_v1;
CREATE UNIQUE INDEX entry_chain ON entry (session, seq) WHERE aside = 0;
CREATE INDEX entry_unsent ON entry (sent) WHERE sent < 2;

-- The record only grows.
CREATE TRIGGER entry_no_delete BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'the record only grows'); END;
CREATE TRIGGER entry_no_change BEFORE UPDATE OF session, seq, v, at, actor, kind, text, details, fact, prev, hash ON entry
BEGIN SELECT RAISE(ABORT, 'the record never changes'); END;

-- Sessions of colleagues that a lead's console has from the server.
ALTER TABLE session ADD COLUMN origin TEXT NOT NULL DEFAULT 'here' CHECK (origin IN ('here', 'server'));
ALTER TABLE session ADD COLUMN sent BLOB; -- SHA-256 of the document that the server has
