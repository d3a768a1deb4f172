-- People: a second factor while it is being set up, recovery codes, and
-- one-time codes by which somebody who is there sets a new password.
ALTER TABLE profiles ADD COLUMN totp_pending BLOB;
-- The account that a console made for itself on its own computer; see
-- docs/server.md for what that allows.
ALTER TABLE profiles ADD COLUMN local INTEGER NOT NULL DEFAULT 0 CHECK (local IN (0, 1));
UPDATE profiles SET local = 1 WHERE email LIKE '%@this.computer';
INSERT OR IGNORE INTO roles (profile_id, role) SELECT id, 'technician' FROM profiles;

ALTER TABLE invitations ADD COLUMN profile_id BLOB REFERENCES profiles (id); -- NULL: of a new colleague
CREATE INDEX invitations_by_company ON invitations (company_id, expires_at);

CREATE TABLE recovery_codes (
	profile_id BLOB NOT NULL REFERENCES profiles (id) ON DELETE CASCADE,
	hash       BLOB NOT NULL CHECK (length(hash) = 32),
	used_at    INTEGER,
	PRIMARY KEY (profile_id, hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_by_company ON audit (company_id, seq);
