package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

func addProfile(ctx context.Context, tx *sql.Tx, p store.Profile) error {
	if _, err := tx.ExecContext(ctx, "INSERT INTO profiles (id, company_id, email, name, password, totp_seed, rights, disabled, local, created_at) VALUES (?,?,?,?,?,?,?,?,?,?)",
		p.ID[:], p.Company.ID[:], p.Email, p.Name, p.Password, nilIfEmpty(p.TOTP), uint32(p.Rights), flag(p.Disabled), flag(p.Local), ms(p.Created)); err != nil {
		return err
	}
	return setRoles(ctx, tx, p.ID, p.Roles)
}

func setRoles(ctx context.Context, tx *sql.Tx, who grant.ID, roles []string) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM roles WHERE profile_id = ?", who[:]); err != nil {
		return err
	}
	for _, r := range roles {
		if _, err := tx.ExecContext(ctx, "INSERT INTO roles (profile_id, role) VALUES (?,?)", who[:], r); err != nil {
			return err
		}
	}
	return nil
}

// revokeAll ends a person's sign-ins but one and returns the consoles' keys.
func revokeAll(ctx context.Context, tx *sql.Tx, who, keep grant.ID, now time.Time) ([]grant.Key, error) {
	rows, err := tx.QueryContext(ctx, `SELECT DISTINCT c.key FROM consoles c JOIN families f ON f.console_id = c.id
		WHERE c.profile_id = ?1 AND f.revoked_at IS NULL AND f.id <> ?2
		AND c.id NOT IN (SELECT console_id FROM families WHERE id = ?2)`, who[:], keep[:])
	if err != nil {
		return nil, err
	}
	keys, err := scanKeys(rows)
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE families SET revoked_at = ? WHERE revoked_at IS NULL AND id <> ? AND console_id IN (SELECT id FROM consoles WHERE profile_id = ?)", ms(now), keep[:], who[:])
	return keys, err
}

func scanKeys(rows *sql.Rows) ([]grant.Key, error) {
	defer rows.Close()
	var out []grant.Key
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		out = append(out, grant.Key(b))
	}
	return out, rows.Err()
}

// People lists a company's people.
func (s *Store) People(ctx context.Context, company grant.ID, now time.Time) ([]store.Person, error) {
	rows, err := s.r.QueryContext(ctx, `SELECT p.id, (SELECT max(seen_at) FROM consoles WHERE profile_id = p.id),
		(SELECT count(DISTINCT c.id) FROM consoles c JOIN families f ON f.console_id = c.id JOIN tokens t ON t.family_id = f.id
			WHERE c.profile_id = p.id AND c.revoked_at IS NULL AND f.revoked_at IS NULL AND t.kind = 'refresh' AND t.expires_at > ?2),
		EXISTS (SELECT 1 FROM invitations i WHERE i.profile_id = p.id AND i.used_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > ?2)
		FROM profiles p WHERE p.company_id = ?1 ORDER BY p.name COLLATE NOCASE, p.email`, company[:], ms(now))
	if err != nil {
		return nil, full(err)
	}
	defer rows.Close()
	var out []store.Person
	for rows.Next() {
		var (
			id   []byte
			seen sql.NullInt64
			x    store.Person
		)
		if err := rows.Scan(&id, &seen, &x.Consoles, &x.Reset); err != nil {
			return nil, full(err)
		}
		x.ID, x.LastSeen = grant.ID(id), at(seen)
		out = append(out, x)
	}
	if err := rows.Err(); err != nil {
		return nil, full(err)
	}
	for i := range out {
		if out[i].Profile, err = s.Profile(ctx, out[i].ID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ChangePerson changes a person; see store.PeopleStore.
func (s *Store) ChangePerson(ctx context.Context, id grant.ID, by store.Actor, now time.Time, f store.PersonUpdate) (store.Profile, []grant.Key, error) {
	var (
		p    store.Profile
		keys []grant.Key
	)
	err := s.write(ctx, func(tx *sql.Tx) error {
		old, err := profile(ctx, tx, "p.id = ?", id[:])
		if err != nil {
			return err
		}
		p = old
		p.Roles = slices.Clone(old.Roles)
		c, err := f(&p)
		if err != nil {
			return err
		}
		p.Company = old.Company
		if c.Kind == "" {
			p = old
			return nil
		}
		if _, err := tx.ExecContext(ctx, "UPDATE profiles SET name = ?, password = ?, totp_seed = ?, totp_pending = ?, totp_last = ?, rights = ?, disabled = ? WHERE id = ?",
			p.Name, p.Password, nilIfEmpty(p.TOTP), nilIfEmpty(p.Pending), p.Step, uint32(p.Rights), flag(p.Disabled), id[:]); err != nil {
			return err
		}
		if !slices.Equal(p.Roles, old.Roles) {
			if err := setRoles(ctx, tx, id, p.Roles); err != nil {
				return err
			}
		}
		if wasAdmin := !old.Disabled && old.HasRole(protocol.RoleAdmin); wasAdmin && (p.Disabled || !p.HasRole(protocol.RoleAdmin)) {
			var admins int
			if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM profiles p JOIN roles r ON r.profile_id = p.id WHERE p.company_id = ? AND r.role = 'admin' AND p.disabled = 0", p.Company.ID[:]).Scan(&admins); err != nil {
				return err
			}
			if admins == 0 {
				return store.ErrLastAdmin
			}
		}
		if c.Revoke {
			if keys, err = revokeAll(ctx, tx, id, c.Keep, now); err != nil {
				return err
			}
		}
		if c.Recovery != nil {
			if err := setRecovery(ctx, tx, id, *c.Recovery); err != nil {
				return err
			}
		}
		if c.OneTime != nil || p.Disabled {
			// A new code ends earlier ones, and nobody switched off keeps any.
			if _, err := tx.ExecContext(ctx, "UPDATE invitations SET revoked_at = ? WHERE profile_id = ? AND used_at IS NULL AND revoked_at IS NULL", ms(now), id[:]); err != nil {
				return err
			}
		}
		if c.OneTime != nil {
			if err := putOneTime(ctx, tx, *c.OneTime); err != nil {
				return err
			}
		}
		return audit(ctx, tx, now, p.Company.ID, grant.ID{}, by, c.Kind, c.Detail)
	})
	return p, keys, err
}

func setRecovery(ctx context.Context, tx *sql.Tx, who grant.ID, codes []store.Hash) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM recovery_codes WHERE profile_id = ?", who[:]); err != nil {
		return err
	}
	for _, h := range codes {
		if _, err := tx.ExecContext(ctx, "INSERT INTO recovery_codes (profile_id, hash) VALUES (?,?)", who[:], h[:]); err != nil {
			return err
		}
	}
	return nil
}

// UseRecovery uses up a recovery code.
func (s *Store) UseRecovery(ctx context.Context, who grant.ID, code store.Hash, now time.Time) (ok bool, left int, err error) {
	err = s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE recovery_codes SET used_at = ? WHERE profile_id = ? AND hash = ? AND used_at IS NULL", ms(now), who[:], code[:])
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil || n != 1 {
			return err
		}
		ok = true
		p, err := profile(ctx, tx, "p.id = ?", who[:])
		if err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM recovery_codes WHERE profile_id = ? AND used_at IS NULL", who[:]).Scan(&left); err != nil {
			return err
		}
		return audit(ctx, tx, now, p.Company.ID, grant.ID{}, store.Actor{Kind: "server"}, "person.recovery_used", map[string]any{"profile": who, "left": left})
	})
	return ok && err == nil, left, err
}

// RecoveryLeft counts unused recovery codes.
func (s *Store) RecoveryLeft(ctx context.Context, who grant.ID) (n int, err error) {
	err = s.r.QueryRowContext(ctx, "SELECT count(*) FROM recovery_codes WHERE profile_id = ? AND used_at IS NULL", who[:]).Scan(&n)
	return n, full(err)
}

func putOneTime(ctx context.Context, tx *sql.Tx, o store.OneTime) error {
	roles, err := json.Marshal(o.Roles)
	if err != nil {
		return err
	}
	var who, by any
	if o.Profile != (grant.ID{}) {
		who = o.Profile[:]
	}
	if o.By != (grant.ID{}) {
		by = o.By[:]
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO invitations (id, company_id, email, name, roles, rights, token_hash, invited_by, created_at, expires_at, profile_id) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
		o.ID[:], o.Company[:], o.Email, o.Name, string(roles), uint32(o.Rights), o.Hash[:], by, ms(o.Created), ms(o.Expires), who)
	return err
}

// Invite stores a code for a new colleague.
func (s *Store) Invite(ctx context.Context, o store.OneTime, by store.Actor) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM profiles WHERE email = ?", o.Email).Scan(&n); err != nil {
			return err
		}
		if n > 0 {
			return store.ErrConflict
		}
		if _, err := tx.ExecContext(ctx, "UPDATE invitations SET revoked_at = ? WHERE company_id = ? AND email = ? AND profile_id IS NULL AND used_at IS NULL AND revoked_at IS NULL", ms(o.Created), o.Company[:], o.Email); err != nil {
			return err
		}
		if err := putOneTime(ctx, tx, o); err != nil {
			return err
		}
		return audit(ctx, tx, o.Created, o.Company, grant.ID{}, by, "person.invite", map[string]any{"invite": o.ID, "email": o.Email, "roles": o.Roles, "rights": o.Rights, "expires": o.Expires})
	})
}

const oneTimeColumns = `i.id, i.company_id, i.profile_id, i.email, i.name, i.roles, i.rights, i.invited_by, coalesce(b.name, ''), i.token_hash, i.created_at, i.expires_at, i.used_at, i.revoked_at
	FROM invitations i LEFT JOIN profiles b ON b.id = i.invited_by `

func scanOneTime(scan func(...any) error) (o store.OneTime, used, revoked bool, err error) {
	var (
		id, company, who, by, hash []byte
		roles                      string
		made, expires, u, r        sql.NullInt64
	)
	if err := scan(&id, &company, &who, &o.Email, &o.Name, &roles, &o.Rights, &by, &o.ByName, &hash, &made, &expires, &u, &r); err != nil {
		return o, false, false, full(err)
	}
	if err := json.Unmarshal([]byte(roles), &o.Roles); err != nil {
		return o, false, false, fmt.Errorf("%w: roles of an invitation: %w", store.ErrCorrupt, err)
	}
	copy(o.ID[:], id)
	copy(o.Company[:], company)
	copy(o.Profile[:], who)
	copy(o.By[:], by)
	copy(o.Hash[:], hash)
	o.Created, o.Expires = at(made), at(expires)
	return o, u.Valid, r.Valid, nil
}

// Invites lists pending codes for new colleagues.
func (s *Store) Invites(ctx context.Context, company grant.ID, now time.Time) ([]store.OneTime, error) {
	rows, err := s.r.QueryContext(ctx, "SELECT "+oneTimeColumns+`WHERE i.company_id = ? AND i.profile_id IS NULL AND i.used_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > ?
		ORDER BY i.created_at DESC`, company[:], ms(now))
	if err != nil {
		return nil, full(err)
	}
	defer rows.Close()
	var out []store.OneTime
	for rows.Next() {
		o, _, _, err := scanOneTime(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, full(rows.Err())
}

// Uninvite ends a pending code.
func (s *Store) Uninvite(ctx context.Context, company, id grant.ID, by store.Actor, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var email string
		var revoked sql.NullInt64
		if err := tx.QueryRowContext(ctx, "SELECT email, revoked_at FROM invitations WHERE id = ? AND company_id = ? AND used_at IS NULL", id[:], company[:]).Scan(&email, &revoked); err != nil {
			return err
		}
		if revoked.Valid {
			return nil
		}
		if _, err := tx.ExecContext(ctx, "UPDATE invitations SET revoked_at = ? WHERE id = ?", ms(now), id[:]); err != nil {
			return err
		}
		return audit(ctx, tx, now, company, grant.ID{}, by, "person.uninvite", map[string]any{"invite": id, "email": email})
	})
}

func oneTime(ctx context.Context, q querier, code store.Hash, now time.Time) (store.OneTime, error) {
	o, used, revoked, err := scanOneTime(q.QueryRowContext(ctx, "SELECT "+oneTimeColumns+"WHERE i.token_hash = ?", code[:]).Scan)
	switch {
	case err != nil:
		return o, err
	case used:
		return o, store.ErrUsed
	case revoked || !now.Before(o.Expires):
		return o, store.ErrOver
	}
	return o, nil
}

// OneTime returns what a code is for.
func (s *Store) OneTime(ctx context.Context, code store.Hash, now time.Time) (store.OneTime, store.Company, error) {
	o, err := oneTime(ctx, s.r, code, now)
	if err != nil {
		return o, store.Company{}, err
	}
	c, err := s.Company(ctx, o.Company)
	return o, c, err
}

// Redeem uses a code; see store.PeopleStore.
func (s *Store) Redeem(ctx context.Context, code store.Hash, p store.Profile, now time.Time) (store.Profile, []grant.Key, error) {
	var keys []grant.Key
	err := s.write(ctx, func(tx *sql.Tx) error {
		o, err := oneTime(ctx, tx, code, now)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE invitations SET used_at = ? WHERE id = ?", ms(now), o.ID[:]); err != nil {
			return err
		}
		kind, detail := "person.join", map[string]any{"invite": o.ID, "email": o.Email, "roles": o.Roles, "rights": o.Rights}
		if o.Profile == (grant.ID{}) {
			p.Company.ID, p.Email, p.Roles, p.Rights, p.Created = o.Company, o.Email, o.Roles, o.Rights, now
			if err := addProfile(ctx, tx, p); err != nil {
				return err
			}
		} else {
			p.ID = o.Profile
			kind, detail = "person.password", map[string]any{}
			if _, err := tx.ExecContext(ctx, "UPDATE profiles SET password = ? WHERE id = ?", p.Password, p.ID[:]); err != nil {
				return err
			}
			if keys, err = revokeAll(ctx, tx, p.ID, grant.ID{}, now); err != nil {
				return err
			}
		}
		detail["profile"], detail["by_code"] = p.ID, true
		return audit(ctx, tx, now, o.Company, grant.ID{}, store.Actor{Kind: "server"}, kind, detail)
	})
	if err != nil {
		return store.Profile{}, nil, err
	}
	out, err := s.Profile(ctx, p.ID)
	return out, keys, err
}

// Consoles lists where a person is signed in.
func (s *Store) Consoles(ctx context.Context, who grant.ID, now time.Time) ([]store.SignedIn, error) {
	rows, err := s.r.QueryContext(ctx, `SELECT c.id, c.key, c.name, c.created_at, c.seen_at,
		(SELECT count(*) FROM sessions s WHERE s.console_id = c.id AND s.state IN ('invited','answered','pairing','active'))
		FROM consoles c WHERE c.profile_id = ? AND c.revoked_at IS NULL AND EXISTS (SELECT 1 FROM families f JOIN tokens t ON t.family_id = f.id
			WHERE f.console_id = c.id AND f.revoked_at IS NULL AND t.kind = 'refresh' AND t.expires_at > ?) ORDER BY c.seen_at DESC, c.name`, who[:], ms(now))
	if err != nil {
		return nil, full(err)
	}
	defer rows.Close()
	var out []store.SignedIn
	for rows.Next() {
		var (
			id, key    []byte
			made, seen sql.NullInt64
			c          store.SignedIn
		)
		if err := rows.Scan(&id, &key, &c.Name, &made, &seen, &c.Sessions); err != nil {
			return nil, full(err)
		}
		copy(c.ID[:], id)
		copy(c.Key[:], key)
		c.Profile, c.Created, c.Seen = who, at(made), at(seen)
		out = append(out, c)
	}
	return out, full(rows.Err())
}

// Console finds a console.
func (s *Store) Console(ctx context.Context, id grant.ID) (store.Console, error) {
	c := store.Console{ID: id}
	var who, key []byte
	if err := s.r.QueryRowContext(ctx, "SELECT profile_id, key, name FROM consoles WHERE id = ?", id[:]).Scan(&who, &key, &c.Name); err != nil {
		return c, full(err)
	}
	copy(c.Profile[:], who)
	copy(c.Key[:], key)
	return c, nil
}

// RevokeConsole ends a console's sign-ins.
func (s *Store) RevokeConsole(ctx context.Context, id grant.ID, by store.Actor, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		var who, company []byte
		var name string
		var revoked sql.NullInt64
		if err := tx.QueryRowContext(ctx, "SELECT c.profile_id, p.company_id, c.name, c.revoked_at FROM consoles c JOIN profiles p ON p.id = c.profile_id WHERE c.id = ?", id[:]).Scan(&who, &company, &name, &revoked); err != nil {
			return err
		}
		if revoked.Valid {
			return nil
		}
		for _, q := range []string{"UPDATE consoles SET revoked_at = ? WHERE id = ?", "UPDATE families SET revoked_at = ? WHERE revoked_at IS NULL AND console_id = ?"} {
			if _, err := tx.ExecContext(ctx, q, ms(now), id[:]); err != nil {
				return err
			}
		}
		return audit(ctx, tx, now, grant.ID(company), grant.ID{}, by, "console.revoke", map[string]any{"profile": grant.ID(who), "console": id, "name": name})
	})
}

// LiveOf lists live sessions.
func (s *Store) LiveOf(ctx context.Context, company, who, console grant.ID) ([]store.Session, error) {
	where, arg := "s.company_id", company
	switch {
	case console != grant.ID{}:
		where, arg = "s.console_id", console
	case who != grant.ID{}:
		where, arg = "s.profile_id", who
	}
	return sessions(ctx, s.r, "WHERE "+where+" = ? AND s.state IN ('invited','answered','pairing','active') ORDER BY s.created_at", arg[:])
}

// KeysOf lists the keys of a company's or a person's consoles.
func (s *Store) KeysOf(ctx context.Context, company, who grant.ID) ([]grant.Key, error) {
	query, arg := "SELECT DISTINCT c.key FROM consoles c JOIN profiles p ON p.id = c.profile_id WHERE p.company_id = ?", company[:]
	if who != (grant.ID{}) {
		query, arg = "SELECT DISTINCT key FROM consoles WHERE profile_id = ?", who[:]
	}
	rows, err := s.r.QueryContext(ctx, query, arg)
	if err != nil {
		return nil, full(err)
	}
	keys, err := scanKeys(rows)
	return keys, full(err)
}
