package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/session"
)

// Sort is an order of the history.
type Sort string

// The orders. An empty Sort is Newest.
const (
	Newest    Sort = "newest"
	Oldest    Sort = "oldest"
	ByName    Sort = "name"    // of the customer, A to Z
	Longest   Sort = "longest" // time between activation and end
	pageMax        = 500
	pageLeast      = 1
)

// Query is what the history is asked. The zero value asks for everything.
type Query struct {
	// Text holds words that must all occur, each as the beginning of a word of
	// the session: names, address, computer, subject, technician, notes, tags,
	// texts of the record. Case and accents do not count.
	Text string
	// State is one state, "live", "over" or "".
	State      string
	EndedBy    grant.EndedBy
	Technician string // display name, exactly
	Customer   string // e-mail address
	From, To   time.Time
	Has        journal.Has // all of these
	Tag        string
	Whose      string // "mine", "others" or ""
	Sort       Sort
	After      string // Row.Mark of the last row of the page before, or one of Marks
	Limit      int    // 1..500
}

// MaxQuery bounds Query.Text in bytes; what is longer is cut.
const MaxQuery = 200

// live are the states of a session that is not over.
const live = "('invited','answered','pairing','active','ending')"

type order struct {
	column string // "" for the key alone
	desc   bool
}

func (p *plan) by() string {
	dir := ""
	if p.order.desc {
		dir = " DESC"
	}
	if p.order.column == "" {
		return p.key + dir
	}
	return "h." + p.order.column + dir + ", h.key" + dir
}

var orders = map[Sort]order{"": {desc: true}, Newest: {desc: true}, Oldest: {}, ByName: {column: "label"}, Longest: {column: "lasted", desc: true}}

// plan is a query as SQL: the tables and the conditions, the page's excepted.
type plan struct {
	order order
	from  string
	key   string // the key in from
	where []string
	args  []any
}

func (p *plan) and(cond string, args ...any) {
	p.where = append(p.where, cond)
	p.args = append(p.args, args...)
}

func (p *plan) sql() string {
	if len(p.where) == 0 {
		return p.from
	}
	return p.from + " WHERE " + strings.Join(p.where, " AND ")
}

func (q Query) plan() (plan, error) {
	o, ok := orders[q.Sort]
	if !ok {
		return plan{}, fault.New(fault.Invalid, "store.list", "The history cannot be sorted in this way.", "")
	}
	p := plan{order: o, from: "history h", key: "h.key"}
	match, some := matching(q.Text)
	if some {
		p.and("history_words.words MATCH ?", match)
	}
	if some {
		// The words first: CROSS JOIN keeps SQLite from walking the history and
		// asking the index for each session.
		p.key, p.from = "history_words.docid", "history_words CROSS JOIN history h ON h.key = history_words.docid"
		if o.column == "" && q.words() {
			p.from = "history_words" // nothing else is needed
		}
	}
	switch q.State {
	case "":
	case "live":
		p.and("h.state IN " + live)
	case "over":
		p.and("h.state IN ('ended','removed','unconfirmed')")
	default:
		p.and("h.state = ?", q.State)
	}
	if q.EndedBy != "" {
		p.and("h.ended_by = ?", string(q.EndedBy))
	}
	if q.Technician != "" {
		p.and("h.technician = ?", q.Technician)
	}
	if q.Customer != "" {
		p.and("h.customer = ?", strings.ToLower(q.Customer))
	}
	if !q.From.IsZero() {
		p.and(p.key+" >= ?", q.From.UnixMilli())
	}
	if !q.To.IsZero() {
		p.and(p.key+" < ?", q.To.UnixMilli())
	}
	if q.Has != 0 {
		p.and("h.traits <> 0 AND h.traits & ? = ?", int(q.Has), int(q.Has))
	}
	if q.Tag != "" {
		p.and("h.session IN (SELECT session FROM tag WHERE tag = ?)", q.Tag)
	}
	switch q.Whose {
	case "mine":
		p.and("h.mine = 1")
	case "others":
		p.and("h.mine = 0")
	}
	return p, nil
}

// words reports whether text and time alone decide.
func (q Query) words() bool {
	q.Text, q.From, q.To, q.Sort, q.After, q.Limit = "", time.Time{}, time.Time{}, "", "", 0
	return q == Query{}
}

// matching makes the full-text query of what a person typed: each word a phrase
// whose last part may go on. Characters that are no part of words separate; a
// text of only those asks for nothing.
func matching(text string) (string, bool) {
	if len(text) > MaxQuery {
		text = strings.ToValidUTF8(text[:MaxQuery], "")
	}
	var out []string
	for _, w := range strings.Fields(strings.ToLower(text)) {
		w = strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) {
				return r
			}
			return ' '
		}, w)
		if w = strings.Join(strings.Fields(w), " "); w != "" {
			out = append(out, `"`+w+`*"`)
		}
	}
	return strings.Join(out, " "), len(out) > 0
}

// page adds where the page begins.
func (p *plan) page(after string) error {
	if after == "" {
		return nil
	}
	number, value, _ := strings.Cut(after, ":")
	key, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return fault.New(fault.Invalid, "store.list", "This place in the history is not known.", "Go back to its beginning.")
	}
	than := " > "
	if p.order.desc {
		than = " < "
	}
	switch p.order.column {
	case "":
		p.and(p.key+than+"?", key)
	case "lasted":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fault.New(fault.Invalid, "store.list", "This place in the history is not known.", "Go back to its beginning.")
		}
		p.and("(h.lasted, h.key)"+than+"(?, ?)", n, key)
	default:
		p.and("(h."+p.order.column+", h.key)"+than+"(?, ?)", value, key)
	}
	return nil
}

// mark is the SQL of a row's place in the order.
func (p *plan) mark() string {
	if p.order.column == "" {
		return "CAST(" + p.key + " AS TEXT)"
	}
	return "h.key || ':' || h." + p.order.column
}

// Page is a part of the history.
type Page struct {
	Total int // all that match, on every page
	Rows  []Row
	// Behind is the number of sessions that were stored but are not listed yet:
	// many came at once. Ask again; each List takes some of them in.
	Behind int
}

// List returns a page of the history in the order asked for.
func (s *Store) List(ctx context.Context, q Query) (Page, error) {
	behind, err := s.refresh(ctx, refreshStep)
	if err != nil {
		return Page{}, translate(err, "store.list")
	}
	p, err := q.plan()
	if err != nil {
		return Page{}, err
	}
	out := Page{Behind: behind}
	if err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM "+p.sql(), p.args...).Scan(&out.Total); err != nil {
		return Page{}, translate(err, "store.list")
	}
	if err := p.page(q.After); err != nil {
		return Page{}, err
	}
	rs, err := s.read.QueryContext(ctx, pageSQL(p), append(p.args, min(max(q.Limit, pageLeast), pageMax))...)
	if err != nil {
		return Page{}, translate(err, "store.list")
	}
	defer rs.Close()
	for rs.Next() {
		var r Row
		var traits int64
		if err := scan(rs, &r, &r.Mark, &traits); err != nil {
			return Page{}, translate(err, "store.list")
		}
		r.Has = journal.Has(traits)
		out.Rows = append(out.Rows, r)
	}
	return out, translate(rs.Err(), "store.list")
}

// pageSQL finds the keys first and reads what belongs to them after.
func pageSQL(p plan) string {
	return "SELECT " + columns + ", f.mark, x.traits FROM (SELECT " + p.key + " key, " + p.mark() + " mark FROM " + p.sql() +
		" ORDER BY " + p.by() + " LIMIT ?) f CROSS JOIN history x ON x.key = f.key CROSS JOIN session s ON s.id = x.session"
}

// Marks returns, for the pages of size rows after the first, where each begins:
// a list of any length can be entered anywhere by Query.After.
func (s *Store) Marks(ctx context.Context, q Query, size int) ([]string, error) {
	p, err := q.plan()
	if err != nil {
		return nil, err
	}
	size = min(max(size, pageLeast), pageMax)
	rs, err := s.read.QueryContext(ctx, "SELECT mark FROM (SELECT "+p.mark()+" mark, row_number() OVER (ORDER BY "+p.by()+") n FROM "+p.sql()+
		") WHERE n % ? = 0 ORDER BY n", append(p.args, size)...)
	if err != nil {
		return nil, translate(err, "store.marks")
	}
	defer rs.Close()
	out := []string{}
	for rs.Next() {
		var m string
		if err := rs.Scan(&m); err != nil {
			return nil, translate(err, "store.marks")
		}
		out = append(out, m)
	}
	return out, translate(rs.Err(), "store.marks")
}

// Count is a value and how many sessions have it.
type Count struct {
	Value string
	N     int
}

// Facets is what the history can be filtered by.
type Facets struct {
	Total       int
	Mine        int
	Technicians []Count     // by name, 200 at most
	Tags        []Count     // most used first, 200 at most
	Has         journal.Has // that occur at all
}

// Facets returns what the history can be filtered by.
func (s *Store) Facets(ctx context.Context) (Facets, error) {
	var f Facets
	err := s.read.QueryRowContext(ctx, `SELECT (SELECT count(*) FROM history), (SELECT count(*) FROM history WHERE mine = 1),
		EXISTS(SELECT 1 FROM history WHERE traits <> 0 AND traits & 1 <> 0) + 2 * EXISTS(SELECT 1 FROM history WHERE traits <> 0 AND traits & 2 <> 0)
		+ 4 * EXISTS(SELECT 1 FROM history WHERE traits <> 0 AND traits & 4 <> 0) + 8 * EXISTS(SELECT 1 FROM history WHERE traits <> 0 AND traits & 8 <> 0)`).Scan(&f.Total, &f.Mine, &f.Has)
	if err != nil {
		return Facets{}, translate(err, "store.facets")
	}
	if f.Technicians, err = s.counts(ctx, "SELECT technician, count(*) FROM history WHERE technician <> '' GROUP BY technician ORDER BY technician LIMIT 200"); err != nil {
		return Facets{}, translate(err, "store.facets")
	}
	f.Tags, err = s.counts(ctx, "SELECT tag, count(*) FROM tag GROUP BY tag ORDER BY 2 DESC, 1 LIMIT 200")
	return f, translate(err, "store.facets")
}

func (s *Store) counts(ctx context.Context, query string) ([]Count, error) {
	rs, err := s.read.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	var out []Count
	for rs.Next() {
		var c Count
		if err := rs.Scan(&c.Value, &c.N); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rs.Err()
}

// refreshStep is how many sessions a List takes into the index before it
// answers: some hundred milliseconds at most.
const refreshStep = 250

// refresh takes up to limit of the sessions that changed into the index and
// returns how many are left.
func (s *Store) refresh(ctx context.Context, limit int) (left int, err error) {
	var n int
	if err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM stale").Scan(&n); err != nil || n == 0 {
		return 0, err
	}
	err = s.tx(ctx, func(tx *sql.Tx) error {
		ids, err := list(ctx, tx, "SELECT session FROM stale LIMIT ?", limit)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := index(ctx, tx, id); err != nil {
				return err
			}
		}
		return tx.QueryRowContext(ctx, "SELECT count(*) FROM stale").Scan(&left)
	})
	if k := fault.KindOf(translate(err, "store.list")); k == fault.Full || k == fault.Denied || k == fault.Conflict {
		return n, nil // what was listed before can still be read
	}
	return left, err
}

// check compares the index with the words it is of.
func (s *Store) check(ctx context.Context) error {
	_, err := s.db.ExecContext(ctx, "INSERT INTO history_words (history_words) VALUES ('integrity-check')")
	return err
}

func list(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]string, error) {
	rs, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rs.Close()
	var out []string
	for rs.Next() {
		var v string
		if err := rs.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rs.Err()
}

// maxWords bounds the text of a session that is searched, in bytes.
const maxWords = 256 << 10

// index reads a session anew into history.
func index(ctx context.Context, tx *sql.Tx, id string) error {
	var doc string
	if err := tx.QueryRowContext(ctx, "SELECT doc FROM session WHERE id = ?", id).Scan(&doc); err != nil {
		return err
	}
	var x session.Session
	if err := json.Unmarshal([]byte(doc), &x); err != nil {
		return fault.Wrap(err, fault.Corrupt, "store.read", "A stored session cannot be read.", "Put back a copy of the file with your sessions.")
	}
	text := []string{x.Customer.Email, x.Customer.Name, x.Customer.Subject, x.Technician}
	if x.Host != nil {
		text = append(text, x.Host.Computer, x.Host.User, x.Host.OS)
	}
	tags, err := list(ctx, tx, "SELECT tag FROM tag WHERE session = ?", id)
	if err != nil {
		return err
	}
	notes, err := list(ctx, tx, "SELECT text FROM note WHERE session = ?", id)
	if err != nil {
		return err
	}
	said, err := list(ctx, tx, `SELECT DISTINCT text FROM entry WHERE session = ?1 AND aside = 0
		UNION SELECT atom FROM entry, json_tree(entry.details) WHERE session = ?1 AND aside = 0 AND details IS NOT NULL AND type = 'text'`, id)
	if err != nil {
		return err
	}
	kinds, err := list(ctx, tx, "SELECT DISTINCT kind FROM entry WHERE session = ? AND aside = 0", id)
	if err != nil {
		return err
	}
	var traits journal.Has
	for _, k := range kinds {
		traits |= journal.Contains(k)
	}
	words := strings.Join(slices.Concat(text, tags, notes, said), "\n")
	if len(words) > maxWords {
		words = strings.ToValidUTF8(words[:maxWords], "")
	}
	var lasted int64
	if !x.Activated.IsZero() && x.EndedAt.After(x.Activated) {
		lasted = x.EndedAt.Sub(x.Activated).Milliseconds()
	}
	var key int64
	switch err := tx.QueryRowContext(ctx, "SELECT key FROM history WHERE session = ?", id).Scan(&key); {
	case errors.Is(err, sql.ErrNoRows):
		if key, err = freeKey(ctx, tx, x.Created.UnixMilli()); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO history (key, session, mine, technician, customer, label, state, ended_by, lasted, traits) VALUES (?,?,?,?,?,?,?,?,?,?)
		ON CONFLICT (key) DO UPDATE SET mine=excluded.mine, technician=excluded.technician, customer=excluded.customer, label=excluded.label,
		state=excluded.state, ended_by=excluded.ended_by, lasted=excluded.lasted, traits=excluded.traits`,
		key, id, x.Mine, x.Technician, strings.ToLower(x.Customer.Email), strings.ToLower(x.Customer.Label()), string(x.State), string(x.EndedBy), lasted, int64(traits)); err != nil {
		return err
	}
	var before string
	switch err := tx.QueryRowContext(ctx, "SELECT words FROM history_text WHERE key = ?", key).Scan(&before); {
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return err
	case err != nil || before != words:
		// The index forgets by reading what it knew: in this order.
		for _, step := range []struct {
			sql  string
			args []any
		}{
			{"DELETE FROM history_words WHERE docid = ?", []any{key}},
			{"INSERT INTO history_text (key, words) VALUES (?,?) ON CONFLICT (key) DO UPDATE SET words = excluded.words", []any{key, words}},
			{"INSERT INTO history_words (docid, words) VALUES (?,?)", []any{key, words}},
		} {
			if _, err := tx.ExecContext(ctx, step.sql, step.args...); err != nil {
				return err
			}
		}
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM stale WHERE session = ?", id)
	return err
}

// freeKey is at, or the next number that no session has.
func freeKey(ctx context.Context, tx *sql.Tx, at int64) (int64, error) {
	for {
		var taken bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS(SELECT 1 FROM history WHERE key = ?)", at).Scan(&taken); err != nil || !taken {
			return at, err
		}
		at++
	}
}
