package desk

import (
	"context"
	"encoding/json"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous"
	"daypass/backend/store"
)

const (
	// retainGrace is how long a shorter rule must have been seen before this console
	// deletes by it: whoever sets it by mistake, or a server that lies, is noticed
	// before what is here is gone.
	retainGrace = 7 * 24 * time.Hour
	retainEvery = time.Hour
)

// retention is for how long the company keeps its history, as this console goes
// by it. It lies in the store.
type retention struct {
	Months int       `json:"months"`         // that count here, 0: for good
	Next   int       `json:"next,omitempty"` // shorter, and not old enough to count; 0: none
	Since  time.Time `json:"since,omitzero"` // when Next was seen first
}

// heard returns the rule after the server said months. Longer counts at once,
// shorter after retainGrace.
func (r retention) heard(months int, now time.Time) retention {
	shorter := months > 0 && (r.Months == 0 || months < r.Months)
	if !shorter {
		return retention{Months: months}
	}
	if r.Next != months || now.Before(r.Since) {
		r.Next, r.Since = months, now.UTC().Truncate(time.Second)
	}
	if now.Sub(r.Since) >= retainGrace {
		return retention{Months: months}
	}
	return r
}

func retentionSetting(c grant.ID) string { return "history_months:" + c.String() }

// retain learns for how long the company keeps its history and deletes here what
// is older.
func (d *Desk) retain(ctx context.Context, st *store.Store, k *keys, state *HistoryKey) error {
	if k.all.Months < 0 || k.all.Months > rendezvous.MaxHistoryMonths {
		return fault.New(fault.Hostile, "history.retain", "The server's rule for deleting old history cannot be right.", "Tell whoever runs the server.")
	}
	var r retention
	text, err := st.Setting(ctx, retentionSetting(k.company))
	if err == nil && text != "" {
		err = json.Unmarshal([]byte(text), &r)
	}
	if err != nil {
		return err
	}
	now := time.Now()
	next := r.heard(k.all.Months, now)
	if next != r {
		b, err := json.Marshal(next)
		if err == nil {
			err = st.SetSetting(ctx, retentionSetting(k.company), string(b))
		}
		if err != nil {
			return err
		}
	}
	state.Months = k.all.Months
	if next.Next > 0 {
		state.Shorter = next.Since.Add(retainGrace).UnixMilli()
	}
	var last time.Time
	if err := d.look(func() error { last = d.pruned; return nil }); err != nil {
		return err
	}
	if next.Months == 0 || next == r && now.Sub(last) < retainEvery && !now.Before(last) {
		return nil
	}
	n, err := st.Prune(ctx, now.AddDate(0, -next.Months, 0), now)
	if err != nil {
		return err
	}
	if n > 0 {
		d.log.Info("history deleted by the company's rule", "sessions", n, "months", next.Months)
	}
	return d.do(func() error { d.pruned = now; return nil })
}
