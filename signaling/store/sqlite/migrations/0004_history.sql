-- The company's history: what happened, when and by whom in the clear, all else
-- sealed to a key that the server does not have.
CREATE TABLE history_devices (
	console_id BLOB PRIMARY KEY REFERENCES consoles (id) ON DELETE CASCADE,
	device     TEXT NOT NULL -- signed fact, JSON
) STRICT;

CREATE TABLE history_keys (
	company_id BLOB NOT NULL REFERENCES companies (id),
	gen        INTEGER NOT NULL CHECK (gen BETWEEN 1 AND 1000),
	doc        TEXT NOT NULL, -- signed fact, JSON
	PRIMARY KEY (company_id, gen)
) STRICT, WITHOUT ROWID;

CREATE TABLE history_wraps (
	company_id BLOB NOT NULL,
	gen        INTEGER NOT NULL,
	to_key     BLOB NOT NULL CHECK (length(to_key) = 32), -- zero: the recovery key
	by_key     BLOB NOT NULL CHECK (length(by_key) = 32),
	wrap       TEXT NOT NULL, -- signed fact, JSON
	PRIMARY KEY (company_id, gen, to_key, by_key),
	FOREIGN KEY (company_id, gen) REFERENCES history_keys (company_id, gen)
) STRICT, WITHOUT ROWID;

CREATE TABLE history_records (
	rev        INTEGER PRIMARY KEY AUTOINCREMENT, -- a row that changes gets a new one
	company_id BLOB NOT NULL REFERENCES companies (id),
	session_id BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
	seq        INTEGER NOT NULL CHECK (seq BETWEEN 0 AND 20000), -- 0: the session's document
	hash       BLOB NOT NULL CHECK (length(hash) = 32),
	at         INTEGER NOT NULL,
	actor      TEXT NOT NULL CHECK (length(actor) <= 64),
	kind       TEXT NOT NULL CHECK (length(kind) <= 64),
	gen        INTEGER NOT NULL,
	cosigned   INTEGER NOT NULL CHECK (cosigned IN (0, 1)),
	box        BLOB NOT NULL,
	UNIQUE (session_id, seq, hash)
) STRICT;
CREATE INDEX history_by_company ON history_records (company_id, rev);
