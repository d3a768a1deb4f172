package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

// SetDevice stores a console's signed device key.
func (s *Store) SetDevice(ctx context.Context, console grant.ID, device grant.Signed) error {
	b, err := json.Marshal(device)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO history_devices (console_id, device) VALUES (?,?) ON CONFLICT (console_id) DO UPDATE SET device = excluded.device", console[:], string(b))
		return err
	})
}

// HistoryKeys returns a company's generations, wraps and leads' consoles.
func (s *Store) HistoryKeys(ctx context.Context, company grant.ID) (protocol.HistoryKeys, error) {
	out := protocol.HistoryKeys{Company: company, Docs: []grant.Signed{}, Wraps: []grant.Signed{}, Consoles: []protocol.HistoryConsole{}, Accepts: []grant.Signed{}}
	signed := func(into *[]grant.Signed, query string) error {
		rows, err := s.r.QueryContext(ctx, query, company[:])
		if err != nil {
			return full(err)
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			var f grant.Signed
			if err := rows.Scan(&text); err != nil {
				return full(err)
			}
			if err := json.Unmarshal([]byte(text), &f); err != nil {
				return fmt.Errorf("%w: history key: %w", store.ErrCorrupt, err)
			}
			*into = append(*into, f)
		}
		return full(rows.Err())
	}
	if err := signed(&out.Docs, "SELECT doc FROM history_keys WHERE company_id = ? ORDER BY gen"); err != nil {
		return out, err
	}
	if err := signed(&out.Wraps, "SELECT wrap FROM history_wraps WHERE company_id = ? ORDER BY gen, to_key, by_key"); err != nil {
		return out, err
	}
	if err := signed(&out.Accepts, "SELECT accept FROM history_accepts WHERE company_id = ? ORDER BY by_key"); err != nil {
		return out, err
	}
	rows, err := s.r.QueryContext(ctx, `SELECT c.key, c.name, p.name, max(r.role IS NOT NULL AND p.disabled = 0 AND EXISTS (SELECT 1 FROM families f WHERE f.console_id = c.id AND f.revoked_at IS NULL)), d.device
		FROM consoles c JOIN profiles p ON p.id = c.profile_id
		LEFT JOIN roles r ON r.profile_id = p.id AND r.role = 'lead'
		LEFT JOIN history_devices d ON d.console_id = c.id
		WHERE p.company_id = ? AND (r.role IS NOT NULL OR c.key IN (SELECT to_key FROM history_wraps WHERE company_id = p.company_id))
		GROUP BY c.key ORDER BY p.name, c.name`, company[:])
	if err != nil {
		return out, full(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c protocol.HistoryConsole
		var key []byte
		var device sql.NullString
		if err := rows.Scan(&key, &c.Name, &c.Person, &c.Lead, &device); err != nil {
			return out, full(err)
		}
		copy(c.Key[:], key)
		if device.Valid {
			if err := json.Unmarshal([]byte(device.String), &c.Device); err != nil {
				return out, fmt.Errorf("%w: device key: %w", store.ErrCorrupt, err)
			}
		}
		out.Consoles = append(out.Consoles, c)
	}
	return out, full(rows.Err())
}

// renewed is the audit's kind of a generation that begins anew, because nobody
// holds the one before.
const renewed = "history.renewed"

// AddHistoryKey stores the next generation. ErrNotHolder: the maker does not hold
// the one before, and does not say that it begins anew.
func (s *Store) AddHistoryKey(ctx context.Context, company grant.ID, gen int, doc grant.Signed, wraps []protocol.HistoryWrap, maker grant.Key, kind string, by store.Actor, now time.Time) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		var last int
		if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(gen), 0) FROM history_keys WHERE company_id = ?", company[:]).Scan(&last); err != nil {
			return err
		}
		if gen != last+1 {
			return store.ErrConflict
		}
		if last > 0 && kind != renewed {
			// A new beginning is said to be one; its consoles show it as changed.
			var n int
			if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM history_wraps WHERE company_id = ? AND gen = ? AND to_key = ?", company[:], last, maker[:]).Scan(&n); err != nil {
				return err
			}
			if n == 0 {
				return store.ErrNotHolder
			}
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO history_keys (company_id, gen, doc) VALUES (?,?,?)", company[:], gen, string(b)); err != nil {
			return err
		}
		if err := putWraps(ctx, tx, company, wraps, maker); err != nil {
			return err
		}
		return audit(ctx, tx, now, company, grant.ID{}, by, kind, map[string]any{"gen": gen})
	})
}

// AddHistoryWraps stores wraps.
func (s *Store) AddHistoryWraps(ctx context.Context, company grant.ID, wraps []protocol.HistoryWrap, maker grant.Key, kind string, by store.Actor, now time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if err := putWraps(ctx, tx, company, wraps, maker); err != nil {
			return err
		}
		return audit(ctx, tx, now, company, grant.ID{}, by, kind, map[string]any{"count": len(wraps)})
	})
}

// AcceptHistoryKey stores a console's latest word about a key.
func (s *Store) AcceptHistoryKey(ctx context.Context, company grant.ID, console grant.Key, in protocol.HistoryAccept, by store.Actor, now time.Time) error {
	b, err := json.Marshal(in.Accept)
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO history_accepts (company_id, by_key, accept) VALUES (?,?,?) ON CONFLICT (company_id, by_key) DO UPDATE SET accept = excluded.accept", company[:], console[:], string(b)); err != nil {
			return err
		}
		return audit(ctx, tx, now, company, grant.ID{}, by, "history.accepted", map[string]any{"gen": in.Gen, "fingerprint": in.Fingerprint})
	})
}

func putWraps(ctx context.Context, tx *sql.Tx, company grant.ID, wraps []protocol.HistoryWrap, maker grant.Key) error {
	for _, w := range wraps {
		b, err := json.Marshal(w.Wrap)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO history_wraps (company_id, gen, to_key, by_key, wrap) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING", company[:], w.Gen, w.To[:], maker[:], string(b)); err != nil {
			return err
		}
	}
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT (SELECT coalesce(sum(length(wrap)), 0) FROM history_wraps WHERE company_id = ?1) + (SELECT coalesce(sum(length(doc)), 0) FROM history_keys WHERE company_id = ?1)", company[:]).Scan(&n); err != nil {
		return err
	}
	if n > protocol.MaxHistoryKeys {
		return store.ErrTooMany
	}
	return nil
}

// PutHistory stores items of one session.
func (s *Store) PutHistory(ctx context.Context, company, session grant.ID, items []protocol.HistoryItem) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		for i := range items {
			it := &items[i]
			var cosigned bool
			var gen int
			err := tx.QueryRowContext(ctx, "SELECT cosigned, gen FROM history_records WHERE session_id = ? AND seq = ? AND hash = ?", session[:], int64(it.Seq), it.Hash).Scan(&cosigned, &gen)
			switch {
			case err == nil && cosigned == it.Cosigned && gen >= it.Gen || err == nil && cosigned && !it.Cosigned:
				continue
			case err == nil:
				if _, err := tx.ExecContext(ctx, "DELETE FROM history_records WHERE session_id = ? AND seq = ? AND hash = ?", session[:], int64(it.Seq), it.Hash); err != nil {
					return err
				}
			case !errors.Is(err, sql.ErrNoRows):
				return err
			case it.Seq == 0: // the newest document counts
				if _, err := tx.ExecContext(ctx, "DELETE FROM history_records WHERE session_id = ? AND seq = 0", session[:]); err != nil {
					return err
				}
			default:
				var n int
				if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM history_records WHERE session_id = ? AND seq = ?", session[:], int64(it.Seq)).Scan(&n); err != nil {
					return err
				}
				if n >= protocol.MaxHistoryFork {
					return store.ErrConflict
				}
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO history_records (company_id, session_id, seq, hash, at, actor, kind, gen, cosigned, box) VALUES (?,?,?,?,?,?,?,?,?,?)",
				company[:], session[:], int64(it.Seq), it.Hash, ms(it.At), it.Actor, it.Kind, it.Gen, flag(it.Cosigned), it.Box); err != nil {
				return err
			}
		}
		return nil
	})
}

// History returns a company's items after a cursor.
func (s *Store) History(ctx context.Context, company grant.ID, after int64) (protocol.HistoryPage, error) {
	p := protocol.HistoryPage{Items: []protocol.HistoryItem{}}
	if err := s.r.QueryRowContext(ctx, "SELECT count(*) FROM history_records WHERE company_id = ? AND rev > ?", company[:], after).Scan(&p.Total); err != nil {
		return p, full(err)
	}
	rows, err := s.r.QueryContext(ctx, "SELECT rev, session_id, seq, hash, at, actor, kind, gen, cosigned, box FROM history_records WHERE company_id = ? AND rev > ? ORDER BY rev LIMIT ?", company[:], after, protocol.MaxHistoryPage)
	if err != nil {
		return p, full(err)
	}
	defer rows.Close()
	size := 0
	for rows.Next() {
		var it protocol.HistoryItem
		var id []byte
		var when sql.NullInt64
		if err := rows.Scan(&it.Rev, &id, &it.Seq, &it.Hash, &when, &it.Actor, &it.Kind, &it.Gen, &it.Cosigned, &it.Box); err != nil {
			return p, full(err)
		}
		if size += len(it.Box) + 512; size > protocol.HistoryPageSize && len(p.Items) > 0 {
			break
		}
		copy(it.Session[:], id)
		it.At = at(when)
		p.Items = append(p.Items, it)
	}
	p.More = int64(len(p.Items)) < p.Total
	return p, full(rows.Err())
}

// PruneHistory deletes what is older than the company keeps.
func (s *Store) PruneHistory(ctx context.Context, company grant.ID, ended, now time.Time) (int, error) {
	n := 0
	err := s.write(ctx, func(tx *sql.Tx) error {
		const old = "SELECT id FROM sessions WHERE company_id = ? AND ended_at < ?"
		if err := tx.QueryRowContext(ctx, "SELECT count(DISTINCT session_id) FROM history_records WHERE session_id IN ("+old+")", company[:], ms(ended)).Scan(&n); err != nil || n == 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM history_records WHERE session_id IN ("+old+")", company[:], ms(ended)); err != nil {
			return err
		}
		return audit(ctx, tx, now, company, grant.ID{}, store.Actor{Kind: "server"}, "history.pruned", map[string]any{"sessions": n})
	})
	return n, err
}
