-- Which console signed what is said beside a record that came from the server;
-- zero: none did.
ALTER TABLE session ADD COLUMN doc_by BLOB NOT NULL DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000' CHECK (length(doc_by) = 32);

-- What was sent before consoles signed it goes again.
UPDATE session SET sent = NULL WHERE origin = 'here' AND pruned IS NULL;
