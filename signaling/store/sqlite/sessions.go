package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"

	"daypass/backend/faultpoint"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

const sessionColumns = `s.id, s.company_id, m.name, s.profile_id, p.name, s.console_id, c.key, s.label, s.language, s.state, s.created_at, s.invite_expires,
	s.activated_at, s.expires_at, s.ended_at, s.ended_by, s.removed_at, s.host_key, s.host_instance, s.offer, s.act_console, s.act_host, s.grant_fact, s.ended_fact, s.removed_fact, s.rev,
	s.claim_console_id, k.key, s.claim_until, s.claim_offer, s.claim_act_console, s.claim_act_host, p.rights & m.rights
	FROM sessions s JOIN companies m ON m.id = s.company_id JOIN profiles p ON p.id = s.profile_id JOIN consoles c ON c.id = s.console_id LEFT JOIN consoles k ON k.id = s.claim_console_id `

func scanSession(scan func(...any) error) (store.Session, error) {
	var (
		s                                               store.Session
		id, company, prof, console, ckey, hkey, hinst   []byte
		created, invite, activated, expires, end, remov sql.NullInt64
		endedBy                                         sql.NullString
		offer                                           string
		facts                                           [8]sql.NullString
		claim, claimKey                                 []byte
		until                                           sql.NullInt64
	)
	err := scan(&id, &company, &s.CompanyName, &prof, &s.Technician, &console, &ckey, &s.Label, &s.Language, &s.State, &created, &invite,
		&activated, &expires, &end, &endedBy, &remov, &hkey, &hinst, &offer, &facts[0], &facts[1], &facts[2], &facts[3], &facts[4], &s.Rev,
		&claim, &claimKey, &until, &facts[5], &facts[6], &facts[7], &s.Entitled)
	if err != nil {
		return s, full(err)
	}
	copy(s.ID[:], id)
	copy(s.Company[:], company)
	copy(s.Profile[:], prof)
	copy(s.Console[:], console)
	copy(s.ConsoleKey[:], ckey)
	copy(s.HostKey[:], hkey)
	copy(s.HostInstance[:], hinst)
	copy(s.Claim[:], claim)
	copy(s.ClaimKey[:], claimKey)
	s.ClaimUntil = at(until)
	s.Created, s.InviteExpires, s.Activated, s.Expires, s.Ended, s.RemovedAt = at(created), at(invite), at(activated), at(expires), at(end), at(remov)
	s.EndedBy = grant.EndedBy(endedBy.String)
	if err := grant.Strict([]byte(offer), &s.Offer); err != nil {
		return s, fmt.Errorf("%w: offer of %s: %w", store.ErrCorrupt, s.ID, err)
	}
	for i, p := range []**grant.Signed{&s.ActConsole, &s.ActHost, &s.Grant, &s.EndedFact, &s.RemovedFact, &s.ClaimOffer, &s.ClaimActConsole, &s.ClaimActHost} {
		if !facts[i].Valid {
			continue
		}
		var f grant.Signed
		if err := grant.Strict([]byte(facts[i].String), &f); err != nil {
			return s, fmt.Errorf("%w: fact of %s: %w", store.ErrCorrupt, s.ID, err)
		}
		*p = &f
	}
	return s, nil
}

func session(ctx context.Context, q querier, id grant.ID) (store.Session, error) {
	return scanSession(q.QueryRowContext(ctx, "SELECT "+sessionColumns+"WHERE s.id = ?", id[:]).Scan)
}

func sessions(ctx context.Context, q querier, tail string, args ...any) ([]store.Session, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+sessionColumns+tail, args...)
	if err != nil {
		return nil, full(err)
	}
	defer rows.Close()
	var out []store.Session
	for rows.Next() {
		s, err := scanSession(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, full(rows.Err())
}

func fact(f *grant.Signed) (any, error) {
	if f == nil {
		return nil, nil
	}
	b, err := json.Marshal(f)
	return string(b), err
}

// takePlace picks the lowest free number of the company and of the profile while
// fewer are taken than the policy allows, also where it was lowered meanwhile.
// No free number is NULL, which the columns refuse.
const takePlace = `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 63)
	INSERT INTO places (session_id, company_id, company_place, profile_id, profile_place)
	SELECT ?1, m.id, (SELECT min(i) FROM n WHERE i NOT IN (SELECT company_place FROM places WHERE company_id = m.id)
			AND (SELECT count(*) FROM places WHERE company_id = m.id) < m.max_sessions),
		?3, (SELECT min(i) FROM n WHERE i NOT IN (SELECT profile_place FROM places WHERE profile_id = ?3)
			AND (SELECT count(*) FROM places WHERE profile_id = ?3) < m.max_per_profile)
	FROM companies m WHERE m.id = ?2`

// CreateSession stores an invited session and takes its places.
func (s *Store) CreateSession(ctx context.Context, n store.Session, by store.Actor) (store.Session, error) {
	var out store.Session
	err := s.write(ctx, func(tx *sql.Tx) error {
		offer, err := json.Marshal(n.Offer)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO sessions (id, company_id, profile_id, console_id, label, language, state, created_at, invite_expires, offer, rev) VALUES (?,?,?,?,?,?,'invited',?,?,?,1)",
			n.ID[:], n.Company[:], n.Profile[:], n.Console[:], n.Label, n.Language, ms(n.Created), ms(n.InviteExpires), string(offer)); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, takePlace, n.ID[:], n.Company[:], n.Profile[:]); err != nil {
			var e sqlite3.Error
			if !errors.As(err, &e) || e.ExtendedCode != sqlite3.ErrConstraintNotNull {
				return err
			}
			no := &store.NoPlace{Scope: "company"}
			where, arg := "JOIN places x ON x.session_id = s.id WHERE x.company_id = ? ORDER BY s.created_at", n.Company[:]
			if strings.Contains(e.Error(), "profile_place") {
				no.Scope = "profile"
				where, arg = "JOIN places x ON x.session_id = s.id WHERE x.profile_id = ? ORDER BY s.created_at", n.Profile[:]
			}
			if no.Holders, err = sessions(ctx, tx, where, arg); err != nil {
				return err
			}
			return no
		}
		if err := audit(ctx, tx, n.Created, n.Company, n.ID, by, "session.create", map[string]any{"label": n.Label, "profile": n.Profile}); err != nil {
			return err
		}
		out, err = session(ctx, tx, n.ID)
		faultpoint.Hit("server/commits", "session.create")
		return err
	})
	faultpoint.Hit("server/committed", "session.create")
	return out, err
}

// Session finds a session.
func (s *Store) Session(ctx context.Context, id grant.ID) (store.Session, error) {
	return session(ctx, s.r, id)
}

// Sessions lists sessions; see store.Store.
func (s *Store) Sessions(ctx context.Context, company, who grant.ID, since time.Time) ([]store.Session, error) {
	tail, arg := "WHERE s.profile_id = ?", who[:]
	if who == (grant.ID{}) {
		tail, arg = "WHERE s.company_id = ?", company[:]
	}
	return sessions(ctx, s.r, tail+" AND (s.ended_at IS NULL OR s.ended_at >= ?) ORDER BY s.created_at DESC, s.rowid DESC LIMIT 500", arg, ms(since))
}

// Due lists sessions whose time has come; see store.Store.
func (s *Store) Due(ctx context.Context, now, ended time.Time) ([]store.Session, time.Time, error) {
	list, err := sessions(ctx, s.r, `WHERE s.state IN ('invited','answered','pairing','active') AND coalesce(s.expires_at, s.invite_expires) <= ?
		OR (s.state = 'ending' OR s.state = 'ended' AND s.host_key IS NOT NULL) AND s.ended_at <= ? LIMIT 100`, ms(now), ms(ended))
	if err != nil {
		return nil, time.Time{}, err
	}
	var next sql.NullInt64
	err = s.r.QueryRowContext(ctx, "SELECT min(coalesce(expires_at, invite_expires)) FROM sessions WHERE state IN ('invited','answered','pairing','active')").Scan(&next)
	return list, at(next), full(err)
}

// Update changes a session; see store.Store.
func (s *Store) Update(ctx context.Context, id grant.ID, by store.Actor, now time.Time, f store.Update) (store.Session, error) {
	var out store.Session
	wrote := ""
	err := s.write(ctx, func(tx *sql.Tx) error {
		old, err := session(ctx, tx, id)
		if err != nil {
			return err
		}
		out = old
		kind, detail, err := f(&out)
		if err != nil {
			return err
		}
		if kind == "" {
			out = old
			return nil
		}
		var facts [8]any
		for i, p := range []*grant.Signed{out.ActConsole, out.ActHost, out.Grant, out.EndedFact, out.RemovedFact, out.ClaimOffer, out.ClaimActConsole, out.ClaimActHost} {
			if facts[i], err = fact(p); err != nil {
				return err
			}
		}
		var hostKey, instance any
		if !out.HostKey.IsZero() {
			hostKey = out.HostKey[:]
		}
		if out.HostInstance != (protocol.Instance{}) {
			instance = out.HostInstance[:]
		}
		var claim any
		if out.Claim != (grant.ID{}) {
			claim = out.Claim[:]
		}
		offer, err := fact(&out.Offer)
		if err != nil {
			return err
		}
		var endedBy any
		if out.EndedBy != "" {
			endedBy = string(out.EndedBy)
		}
		res, err := tx.ExecContext(ctx, `UPDATE sessions SET state = ?, activated_at = ?, expires_at = ?, ended_at = ?, ended_by = ?, removed_at = ?, host_key = ?, host_instance = ?,
			act_console = ?, act_host = ?, grant_fact = ?, ended_fact = ?, removed_fact = ?, claim_offer = ?, claim_act_console = ?, claim_act_host = ?,
			claim_console_id = ?, claim_until = ?, console_id = ?, offer = ?, rev = rev + 1 WHERE id = ? AND state = ? AND rev = ?`,
			out.State, msOrNil(out.Activated), msOrNil(out.Expires), msOrNil(out.Ended), endedBy, msOrNil(out.RemovedAt), hostKey, instance,
			facts[0], facts[1], facts[2], facts[3], facts[4], facts[5], facts[6], facts[7],
			claim, msOrNil(out.ClaimUntil), out.Console[:], offer, id[:], old.State, old.Rev)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n != 1 {
			return errors.Join(store.ErrConflict, err)
		}
		if !protocol.Live(out.State) {
			if _, err := tx.ExecContext(ctx, "DELETE FROM places WHERE session_id = ?", id[:]); err != nil {
				return err
			}
		}
		out.Rev = old.Rev + 1
		if out.Console != old.Console || out.Claim != old.Claim { // their keys are read
			if out, err = session(ctx, tx, id); err != nil {
				return err
			}
		}
		err = audit(ctx, tx, now, out.Company, id, by, kind, detail)
		wrote = kind
		faultpoint.Hit("server/commits", kind)
		return err
	})
	if wrote != "" {
		faultpoint.Hit("server/committed", wrote)
	}
	return out, err
}

// Usage counts places.
func (s *Store) Usage(ctx context.Context, company, who grant.ID) (mine, all int, err error) {
	err = s.r.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM places WHERE profile_id = ?), (SELECT count(*) FROM places WHERE company_id = ?)", who[:], company[:]).Scan(&mine, &all)
	return mine, all, full(err)
}
