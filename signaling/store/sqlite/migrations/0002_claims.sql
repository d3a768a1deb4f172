-- A claim: another console of the session's own profile asks to go on with an
-- active session, whose customer confirms it by a fresh code. One at a time.
ALTER TABLE sessions ADD COLUMN claim_console_id BLOB REFERENCES consoles (id);
ALTER TABLE sessions ADD COLUMN claim_until INTEGER;
ALTER TABLE sessions ADD COLUMN claim_offer TEXT; -- signed facts, JSON
ALTER TABLE sessions ADD COLUMN claim_act_console TEXT;
ALTER TABLE sessions ADD COLUMN claim_act_host TEXT;
