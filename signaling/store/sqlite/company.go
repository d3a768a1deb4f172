package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

func addCompany(ctx context.Context, tx *sql.Tx, c store.Company, by store.Actor) error {
	policy, err := json.Marshal(c.Policy)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO companies (id, name, max_sessions, max_per_profile, rights, suspended, policy, created_at) VALUES (?,?,?,?,?,?,?,?)",
		c.ID[:], c.Name, c.MaxSessions, c.MaxPerProfile, uint32(c.Rights), flag(c.Suspended), string(policy), ms(c.Created)); err != nil {
		return err
	}
	return audit(ctx, tx, c.Created, c.ID, grant.ID{}, by, "company.create", map[string]any{"name": c.Name})
}

const companyColumns = "id, name, max_sessions, max_per_profile, rights, suspended, policy, created_at FROM companies "

func scanCompany(scan func(...any) error) (store.Company, error) {
	var (
		c      store.Company
		id     []byte
		policy string
		made   sql.NullInt64
	)
	if err := scan(&id, &c.Name, &c.MaxSessions, &c.MaxPerProfile, &c.Rights, &c.Suspended, &policy, &made); err != nil {
		return c, full(err)
	}
	if err := json.Unmarshal([]byte(policy), &c.Policy); err != nil {
		return c, fmt.Errorf("%w: policy of a company: %w", store.ErrCorrupt, err)
	}
	copy(c.ID[:], id)
	c.Created = at(made)
	return c, nil
}

// Companies lists all companies by name.
func (s *Store) Companies(ctx context.Context) ([]store.Company, error) {
	rows, err := s.r.QueryContext(ctx, "SELECT "+companyColumns+"ORDER BY name COLLATE NOCASE")
	if err != nil {
		return nil, full(err)
	}
	defer rows.Close()
	var out []store.Company
	for rows.Next() {
		c, err := scanCompany(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, full(rows.Err())
}

// Company finds a company.
func (s *Store) Company(ctx context.Context, id grant.ID) (store.Company, error) {
	return scanCompany(s.r.QueryRowContext(ctx, "SELECT "+companyColumns+"WHERE id = ?", id[:]).Scan)
}

// CreateCompany adds a company. ErrConflict: the name is taken.
func (s *Store) CreateCompany(ctx context.Context, c store.Company, by store.Actor) error {
	return s.write(ctx, func(tx *sql.Tx) error { return addCompany(ctx, tx, c, by) })
}

// ChangeCompany changes a company. ErrConflict: the name is taken.
func (s *Store) ChangeCompany(ctx context.Context, id grant.ID, by store.Actor, now time.Time, f store.CompanyUpdate) (store.Company, error) {
	var c store.Company
	err := s.write(ctx, func(tx *sql.Tx) error {
		old, err := scanCompany(tx.QueryRowContext(ctx, "SELECT "+companyColumns+"WHERE id = ?", id[:]).Scan)
		if err != nil {
			return err
		}
		c = old
		ch, err := f(&c)
		if err != nil {
			return err
		}
		if ch.Kind == "" {
			c = old
			return nil
		}
		policy, err := json.Marshal(c.Policy)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE companies SET name = ?, max_sessions = ?, max_per_profile = ?, rights = ?, suspended = ?, policy = ? WHERE id = ?",
			c.Name, c.MaxSessions, c.MaxPerProfile, uint32(c.Rights), flag(c.Suspended), string(policy), id[:]); err != nil {
			return err
		}
		return audit(ctx, tx, now, id, grant.ID{}, by, ch.Kind, ch.Detail)
	})
	return c, err
}

// where collects conditions.
type where struct {
	cond []string
	args []any
}

func (w *where) add(cond string, args ...any) {
	w.cond = append(w.cond, cond)
	w.args = append(w.args, args...)
}

func (w *where) String() string { return "WHERE " + strings.Join(w.cond, " AND ") }

// like makes a pattern that finds text anywhere, with its own wildcards taken
// literally.
func like(text string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(text) + "%"
}

// Page lists a company's sessions; see store.PeopleStore.
func (s *Store) Page(ctx context.Context, company grant.ID, f protocol.SessionFilter, before time.Time, beforeID grant.ID) ([]store.Session, error) {
	var w where
	w.add("s.company_id = ?", company[:])
	if f.Live {
		w.add("s.state IN ('invited','answered','pairing','active')")
	}
	if len(f.States) > 0 {
		args := make([]any, len(f.States))
		for i, x := range f.States {
			args[i] = x
		}
		w.add("s.state IN (?"+strings.Repeat(",?", len(args)-1)+")", args...)
	}
	if f.Technician != (grant.ID{}) {
		w.add("s.profile_id = ?", f.Technician[:])
	}
	if f.Text != "" {
		w.add(`(s.label LIKE ? ESCAPE '\' OR p.name LIKE ? ESCAPE '\')`, like(f.Text), like(f.Text))
	}
	if !f.From.IsZero() {
		w.add("s.created_at >= ?", ms(f.From))
	}
	if !f.To.IsZero() {
		w.add("s.created_at < ?", ms(f.To))
	}
	if !before.IsZero() {
		w.add("(s.created_at, s.id) < (?, ?)", ms(before), beforeID[:])
	}
	return sessions(ctx, s.r, w.String()+" ORDER BY s.created_at DESC, s.id DESC LIMIT ?", append(w.args, f.Limit+1)...)
}

// AuditPage lists entries with names; see store.PeopleStore.
func (s *Store) AuditPage(ctx context.Context, q store.AuditQuery) ([]store.Named, error) {
	who, names, err := s.names(ctx, q.Company)
	if err != nil {
		return nil, err
	}
	var w where
	w.add("company_id = ?", q.Company[:])
	if q.Kind != "" {
		w.add("substr(kind, 1, ?) = ?", len([]rune(q.Kind)), q.Kind)
	}
	if q.Session != (grant.ID{}) {
		w.add("session_id = ?", q.Session[:])
	}
	if q.Person != (grant.ID{}) {
		ids := []string{q.Person.String()}
		for console, person := range who {
			if person == q.Person {
				ids = append(ids, console)
			}
		}
		list, err := json.Marshal(ids)
		if err != nil {
			return nil, err
		}
		w.add("(actor_id IN (SELECT value FROM json_each(?)) OR json_extract(detail, '$.profile') = ?)", string(list), q.Person.String())
	}
	if !q.From.IsZero() {
		w.add("at >= ?", ms(q.From))
	}
	if !q.To.IsZero() {
		w.add("at < ?", ms(q.To))
	}
	if q.Before > 0 {
		w.add("seq < ?", q.Before)
	}
	var out []store.Named
	err = s.entries(ctx, w.String()+" ORDER BY seq DESC LIMIT ?", func(e store.Entry) error {
		out = append(out, store.Named{Entry: e})
		return nil
	}, append(w.args, q.Limit+1)...)
	if err != nil {
		return nil, err
	}
	labels := map[grant.ID]string{}
	for i := range out {
		e := &out[i]
		if e.Actor.Kind == "console" {
			e.Who = names[who[e.Actor.ID].String()]
		}
		var about struct {
			Profile string `json:"profile"`
			Email   string `json:"email"`
		}
		// Details are ours; one without a person has none of these.
		if json.Unmarshal(e.Detail, &about) == nil {
			if e.Person = names[about.Profile]; e.Person == "" {
				e.Person = about.Email
			}
		}
		if e.Session == (grant.ID{}) {
			continue
		}
		label, ok := labels[e.Session]
		if !ok {
			if err := s.r.QueryRowContext(ctx, "SELECT label FROM sessions WHERE id = ?", e.Session[:]).Scan(&label); err != nil {
				return nil, full(err)
			}
			labels[e.Session] = label
		}
		e.Subject = label
	}
	return out, nil
}

// names returns a company's consoles with their persons, and the persons' names.
func (s *Store) names(ctx context.Context, company grant.ID) (who map[string]grant.ID, names map[string]string, err error) {
	rows, err := s.r.QueryContext(ctx, "SELECT p.id, p.name, c.id FROM profiles p LEFT JOIN consoles c ON c.profile_id = p.id WHERE p.company_id = ?", company[:])
	if err != nil {
		return nil, nil, full(err)
	}
	defer rows.Close()
	who, names = map[string]grant.ID{}, map[string]string{}
	for rows.Next() {
		var (
			pid, cid []byte
			name     string
		)
		if err := rows.Scan(&pid, &name, &cid); err != nil {
			return nil, nil, full(err)
		}
		names[grant.ID(pid).String()] = name
		if len(cid) == 16 {
			who[grant.ID(cid).String()] = grant.ID(pid)
		}
	}
	return who, names, full(rows.Err())
}

// AuditAfter lists entries after seq.
func (s *Store) AuditAfter(ctx context.Context, seq int64) ([]store.Entry, error) {
	var out []store.Entry
	err := s.entries(ctx, "WHERE seq > ? ORDER BY seq LIMIT 500", func(e store.Entry) error { out = append(out, e); return nil }, seq)
	return out, err
}

// Note adds an entry by itself.
func (s *Store) Note(ctx context.Context, company grant.ID, by store.Actor, now time.Time, kind string, detail any) error {
	return s.write(ctx, func(tx *sql.Tx) error { return audit(ctx, tx, now, company, grant.ID{}, by, kind, detail) })
}
