package protocol

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"daypass/backend/grant"
)

// ErrQuery says that a list was asked for in a way the protocol does not know.
var ErrQuery = errors.New("protocol: the query cannot be read")

const (
	maxText   = 120 // bytes of what is searched for, of a kind, of a page's mark
	maxStates = 8
)

// Values writes the filter as a query; ParseSessionFilter reads it.
func (f SessionFilter) Values() url.Values {
	v := url.Values{}
	if f.Live {
		v.Set("live", "1")
	}
	for _, s := range f.States {
		v.Add("state", s)
	}
	putID(v, "technician", f.Technician)
	putText(v, "text", f.Text)
	putTime(v, "from", f.From)
	putTime(v, "to", f.To)
	putText(v, "before", f.Before)
	putInt(v, "limit", int64(f.Limit))
	return v
}

// ParseSessionFilter reads what Values wrote: bounded, and nothing else.
func ParseSessionFilter(v url.Values) (f SessionFilter, err error) {
	q := query{v: v}
	if live := q.one("live"); live != "" {
		q.must(live == "1")
		f.Live = true
	}
	f.States = q.many("state")
	q.must(len(f.States) <= maxStates)
	for _, s := range f.States {
		q.must(slices.Contains(States, s))
	}
	f.Technician, f.Text, f.From, f.To = q.id("technician"), q.text("text"), q.time("from"), q.time("to")
	f.Before, f.Limit = q.text("before"), int(q.int("limit", MaxPage))
	return f, q.done()
}

// Values writes the filter as a query; ParseAuditFilter reads it.
func (f AuditFilter) Values() url.Values {
	v := url.Values{}
	putText(v, "kind", f.Kind)
	putID(v, "person", f.Person)
	putID(v, "session", f.Session)
	putTime(v, "from", f.From)
	putTime(v, "to", f.To)
	putInt(v, "before", f.Before)
	putInt(v, "limit", int64(f.Limit))
	return v
}

// ParseAuditFilter reads what Values wrote: bounded, and nothing else.
func ParseAuditFilter(v url.Values) (f AuditFilter, err error) {
	q := query{v: v}
	f.Kind, f.Person, f.Session, f.From, f.To = q.text("kind"), q.id("person"), q.id("session"), q.time("from"), q.time("to")
	f.Before, f.Limit = q.int("before", 1<<53), int(q.int("limit", MaxPage))
	return f, q.done()
}

func putText(v url.Values, k, s string) {
	if s != "" {
		v.Set(k, s)
	}
}

func putID(v url.Values, k string, id grant.ID) {
	if id != (grant.ID{}) {
		v.Set(k, id.String())
	}
}

func putTime(v url.Values, k string, t time.Time) {
	if !t.IsZero() {
		v.Set(k, strconv.FormatInt(t.UnixMilli(), 10))
	}
}

func putInt(v url.Values, k string, n int64) {
	if n != 0 {
		v.Set(k, strconv.FormatInt(n, 10))
	}
}

// query reads values once each and remembers what was wrong or left.
type query struct {
	v    url.Values
	seen int
	bad  bool
}

func (q *query) must(ok bool) { q.bad = q.bad || !ok }

func (q *query) many(k string) []string {
	l, ok := q.v[k]
	if ok {
		q.seen++
	}
	return l
}

func (q *query) one(k string) string {
	l := q.many(k)
	if len(l) == 0 {
		return ""
	}
	q.must(len(l) == 1 && l[0] != "" && len(l[0]) <= maxText)
	return l[0]
}

func (q *query) text(k string) string {
	s := q.one(k)
	q.must(utf8.ValidString(s) && !strings.ContainsRune(s, 0))
	return s
}

func (q *query) id(k string) (id grant.ID) {
	if s := q.one(k); s != "" {
		var err error
		id, err = grant.ParseID(s)
		q.must(err == nil && id != grant.ID{})
	}
	return id
}

// int reads 1..most; 0 where there is none.
func (q *query) int(k string, most int64) int64 {
	s := q.one(k)
	if s == "" {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	q.must(err == nil && n >= 1 && n <= most)
	return n
}

func (q *query) time(k string) time.Time {
	n := q.int(k, 1<<53)
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

func (q *query) done() error {
	if q.bad || q.seen != len(q.v) {
		return ErrQuery
	}
	return nil
}
