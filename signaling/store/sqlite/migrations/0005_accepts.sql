-- What people decided about a history key that does not follow from the one
-- before; one row a console, its latest. For the company's other consoles to judge.
CREATE TABLE history_accepts (
	company_id BLOB NOT NULL REFERENCES companies (id),
	by_key     BLOB NOT NULL CHECK (length(by_key) = 32),
	accept     TEXT NOT NULL, -- signed fact, JSON
	PRIMARY KEY (company_id, by_key)
) STRICT, WITHOUT ROWID;
