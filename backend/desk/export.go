package desk

import (
	"context"
	"io"
	"slices"

	"daypass/backend/export"
	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/receipt"
	"daypass/backend/store"
)

// exportStep is how many sessions are read at a time.
const exportStep = 100

// Export writes the sessions that match q, or the one with the id if it is not
// zero, and returns how many. told is called after each with how many are
// written and how many there are. It ends with fault.Cancelled when ctx does.
func (d *Desk) Export(ctx context.Context, w io.Writer, f export.Format, o export.Options, q store.Query, id grant.ID, told func(done, all int)) (int, error) {
	st, err := d.opened()
	if err != nil {
		return 0, err
	}
	out, ok := export.New(f, w, o)
	if !ok {
		return 0, fault.New(fault.Invalid, "history.export", "Daypass does not write this kind of file.", "")
	}
	done := 0
	add := func(row store.Row, all int) error {
		if ctx.Err() != nil || d.ctx.Err() != nil {
			return fault.New(fault.Cancelled, "history.export", "The export was cancelled.", "")
		}
		x, err := d.item(ctx, st, row)
		if err != nil {
			return err
		}
		if err := out.Add(x); err != nil {
			return err
		}
		done++
		told(done, all)
		return nil
	}
	if id != (grant.ID{}) {
		row, err := st.Get(ctx, id)
		if err != nil {
			return 0, err
		}
		if err := add(row, 1); err != nil {
			return done, err
		}
		return done, out.Close()
	}
	for q.Limit = exportStep; ; {
		p, err := st.List(ctx, q)
		if err != nil {
			return done, err
		}
		for _, row := range p.Rows {
			if err := add(row, max(done+1, p.Total)); err != nil {
				return done, err
			}
			q.After = row.Mark
		}
		if len(p.Rows) < exportStep {
			return done, out.Close()
		}
	}
}

func (*Desk) item(ctx context.Context, st *store.Store, row store.Row) (export.Item, error) {
	id := row.Session.ID
	entries, err := st.Entries(ctx, id)
	if err != nil {
		return export.Item{}, err
	}
	notes, err := st.Notes(ctx, id)
	if err != nil {
		return export.Item{}, err
	}
	tags, err := st.Tags(ctx, id)
	if err != nil {
		return export.Item{}, err
	}
	v := verdict(row, entries)
	x := export.Item{
		Session: row.Session, Keys: journal.Keys{Console: row.ConsoleKey, Host: row.HostKey}, Head: row.Head,
		Entries: entries, Verdict: v, Words: VerdictWords(v), Tags: tags,
	}
	for _, n := range notes {
		x.Notes = append(x.Notes, export.Note(n))
	}
	return x, nil
}

// ReceiptCheck is what a customer's receipt says and what it is worth.
type ReceiptCheck struct {
	Body    receipt.Body
	Verdict receipt.Verdict
	// Standing: "genuine" (by the computer of the session, and nothing changed),
	// "unknown" (nothing was changed, but the session is not known here, so that
	// nobody can say whose keys these are), "foreign" (not by the computer or
	// console of the session that it names) or "changed".
	Standing string
	Known    bool // the session is in this history
}

// CheckReceipt says what a customer's receipt is worth by what is known here.
func (d *Desk) CheckReceipt(file []byte) (ReceiptCheck, error) {
	f, body, err := receipt.Parse(file)
	if err != nil {
		return ReceiptCheck{}, err
	}
	out := ReceiptCheck{Body: body, Verdict: receipt.Verify(f, body), Standing: "changed"}
	st, err := d.opened()
	if err != nil {
		return ReceiptCheck{}, err
	}
	row, err := st.Get(d.ctx, body.Session)
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return ReceiptCheck{}, err
	}
	out.Known = err == nil
	switch {
	case !out.Verdict.Genuine:
		return out, nil
	case !out.Known || row.HostKey.IsZero(): // or no computer was ever pinned here
		out.Standing = "unknown"
		return out, nil
	}
	consoles := []grant.Key{row.ConsoleKey}
	entries, err := st.Entries(d.ctx, body.Session)
	if err != nil {
		return ReceiptCheck{}, err
	}
	for i := range entries {
		if k := entries[i].Detail().ConsoleKey; k != nil && entries[i].Kind == journal.KindMovedHere {
			consoles = append(consoles, *k)
		}
	}
	out.Standing = "foreign"
	if row.HostKey == body.HostKey && slices.Contains(consoles, body.ConsoleKey) {
		out.Standing = "genuine"
	}
	return out, nil
}
