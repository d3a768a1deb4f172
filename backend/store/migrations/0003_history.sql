-- What the history is listed, filtered and searched by. Everything here but notes and tags follows from session and
-- entry and can be made anew: a session named in stale is read again before the next list.
CREATE TABLE history (
  key        INTEGER PRIMARY KEY,      -- created in unix milliseconds, or the next free one: newest is largest
  session    TEXT NOT NULL UNIQUE REFERENCES session (id),
  mine       INTEGER NOT NULL,
  technician TEXT NOT NULL,
  customer   TEXT NOT NULL,            -- e-mail, lower case
  label      TEXT NOT NULL,            -- what it is sorted by, lower case
  state      TEXT NOT NULL,
  ended_by   TEXT NOT NULL,
  lasted     INTEGER NOT NULL,         -- from activation to end, milliseconds; 0 if it never ran
  traits     INTEGER NOT NULL          -- bits: journal.Has
) STRICT;
CREATE INDEX history_technician ON history (technician, key);
CREATE INDEX history_customer ON history (customer, key);
CREATE INDEX history_state ON history (state, key);
CREATE INDEX history_ended_by ON history (ended_by, key);
CREATE INDEX history_label ON history (label, key);
CREATE INDEX history_lasted ON history (lasted, key);
CREATE INDEX history_traits ON history (traits, key) WHERE traits <> 0;
CREATE INDEX history_mine ON history (mine, key);

-- The words of a session, from all its texts, and the index over them.
CREATE TABLE history_text (
  key   INTEGER PRIMARY KEY,
  words TEXT NOT NULL
) STRICT;
CREATE VIRTUAL TABLE history_words USING fts4 (words, content="history_text", tokenize=unicode61 "remove_diacritics=2", prefix="1,2,3");

CREATE TABLE note (
  session TEXT NOT NULL REFERENCES session (id),
  author  TEXT NOT NULL,
  at      INTEGER NOT NULL,            -- unix microseconds of the last change
  text    TEXT NOT NULL,
  PRIMARY KEY (session, author)
) STRICT, WITHOUT ROWID;

CREATE TABLE tag (
  tag     TEXT NOT NULL COLLATE NOCASE,
  session TEXT NOT NULL REFERENCES session (id),
  PRIMARY KEY (tag, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX tag_session ON tag (session, tag);

CREATE TABLE stale (session TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
INSERT INTO stale SELECT id FROM session;

CREATE TRIGGER session_stale_new AFTER INSERT ON session WHEN NOT EXISTS (SELECT 1 FROM stale WHERE session = NEW.id)
BEGIN INSERT INTO stale VALUES (NEW.id); END;
CREATE TRIGGER session_stale AFTER UPDATE OF doc, state ON session WHEN NOT EXISTS (SELECT 1 FROM stale WHERE session = NEW.id)
BEGIN INSERT INTO stale VALUES (NEW.id); END;
CREATE TRIGGER entry_stale AFTER INSERT ON entry WHEN NOT EXISTS (SELECT 1 FROM stale WHERE session = NEW.session)
BEGIN INSERT INTO stale VALUES (NEW.session); END;
CREATE TRIGGER entry_stale_aside AFTER UPDATE OF aside ON entry WHEN NOT EXISTS (SELECT 1 FROM stale WHERE session = NEW.session)
BEGIN INSERT INTO stale VALUES (NEW.session); END;
CREATE TRIGGER note_stale_new AFTER INSERT ON note WHEN NOT EXISTS (SELECT 1 FROM stale WHERE session = NEW.session)
BEGIN INSERT INTO stale VALUES (NEW.session); END;
CREATE TRIGGER note_stale AFTER UPDATE ON note WHEN NOT EXISTS (SELECT 1 FROM stale WHERE session = NEW.session)
BEGIN INSERT INTO stale VALUES (NEW.session); END;
CREATE TRIGGER note_stale_gone AFTER DELETE ON note WHEN NOT EXISTS (SELECT 1 FROM stale WHERE session = OLD.session)
BEGIN INSERT INTO stale VALUES (OLD.session); END;
CREATE TRIGGER tag_stale_new AFTER INSERT ON tag WHEN NOT EXISTS (SELECT 1 FROM stale WHERE session = NEW.session)
BEGIN INSERT INTO stale VALUES (NEW.session); END;
CREATE TRIGGER tag_stale_gone AFTER DELETE ON tag WHEN NOT EXISTS (SELECT 1 FROM stale WHERE session = OLD.session)
BEGIN INSERT INTO stale VALUES (OLD.session); END;
