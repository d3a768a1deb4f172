package directory

import (
	"context"
	"regexp"
	"time"
	"unicode/utf8"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/signaling/store"
)

// SetDevice takes a console's signed device key. Its signature is for other
// consoles to check.
func (d *Directory) SetDevice(ctx context.Context, a store.Auth, device grant.Signed) error {
	if len(device.Body) > 1024 || len(device.Sig) != 64 {
		return fault.New(fault.Invalid, "history.device", "This is not a device key.", "Update Daypass.")
	}
	return stored("history.device", d.cfg.Store.SetDevice(ctx, a.Console.ID, device))
}

// HistoryKeys returns what the company's consoles tell each other of the history
// key. The server cannot check any of it.
func (d *Directory) HistoryKeys(ctx context.Context, a store.Auth) (protocol.HistoryKeys, error) {
	k, err := d.cfg.Store.HistoryKeys(ctx, a.Profile.Company.ID)
	k.Months = a.Profile.Company.Policy.HistoryMonths
	return k, stored("history.keys", err)
}

// AddHistoryKey stores a generation that a lead's console made (gen > 0), or
// wraps for others (gen 0).
func (d *Directory) AddHistoryKey(ctx context.Context, a store.Auth, gen int, in protocol.HistoryGen) error {
	const op = "history.key"
	if err := need(a, op, protocol.RoleLead); err != nil {
		return err
	}
	bad := fault.New(fault.Invalid, op, "The history key cannot be stored like this.", "Update Daypass.")
	if len(in.Wraps) > protocol.MaxHistoryWraps || (gen > 0) != (in.Doc != nil) || gen < 0 || gen > 1000 {
		return bad
	}
	for _, w := range in.Wraps {
		if len(w.Wrap.Body) > 2048 || len(w.Wrap.Sig) != 64 || w.Gen < 1 || gen > 0 && w.Gen != gen {
			return bad
		}
	}
	kind, ok := map[[2]string]string{
		{"key", protocol.HistoryDuty}: "history.key", {"key", protocol.HistoryRecovery}: "history.recovery_made", {"key", protocol.HistoryRenewed}: "history.renewed",
		{"wraps", protocol.HistoryDuty}: "history.passed_on", {"wraps", protocol.HistoryRecovery}: "history.recovered",
	}[[2]string{what(in.Doc != nil), in.Why}]
	if !ok {
		return bad
	}
	by, company, now := store.Actor{Kind: "console", ID: a.Console.ID.String()}, a.Profile.Company.ID, d.Now()
	if in.Doc == nil {
		return stored(op, d.cfg.Store.AddHistoryWraps(ctx, company, in.Wraps, a.Console.Key, kind, by, now))
	}
	if len(in.Doc.Body) > 2048 || len(in.Doc.Sig) != 64 {
		return bad
	}
	return stored(op, d.cfg.Store.AddHistoryKey(ctx, company, gen, *in.Doc, in.Wraps, a.Console.Key, kind, by, now))
}

func what(doc bool) string {
	if doc {
		return "key"
	}
	return "wraps"
}

// AcceptHistoryKey stores that somebody goes on with a key that does not follow
// from the one before. Whether that says anything to others their consoles
// decide.
func (d *Directory) AcceptHistoryKey(ctx context.Context, a store.Auth, in protocol.HistoryAccept) error {
	const op = "history.accept"
	if len(in.Accept.Body) > 1024 || len(in.Accept.Sig) != 64 || in.Gen < 1 || in.Gen > 1000 || !fingerprint.MatchString(in.Fingerprint) {
		return fault.New(fault.Invalid, op, "The history key cannot be stored like this.", "Update Daypass.")
	}
	return stored(op, d.cfg.Store.AcceptHistoryKey(ctx, a.Profile.Company.ID, a.Console.Key, in, actor(a), d.Now()))
}

var fingerprint = regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$`)

// PruneHistory deletes what companies do not keep any more, by their policy.
func (d *Directory) PruneHistory(ctx context.Context) error {
	list, err := d.cfg.Store.Companies(ctx)
	if err != nil {
		return stored("history.prune", err)
	}
	now := d.Now()
	for _, c := range list {
		if c.Policy.HistoryMonths == 0 {
			continue
		}
		n, err := d.cfg.Store.PruneHistory(ctx, c.ID, now.AddDate(0, -c.Policy.HistoryMonths, 0), now)
		if err != nil {
			return stored("history.prune", err)
		}
		if n > 0 {
			d.cfg.Log.Info("history deleted by the company's policy", "company", c.ID, "sessions", n)
		}
	}
	return nil
}

// PutHistory takes items of one of the person's own sessions, also after it has
// ended.
func (d *Directory) PutHistory(ctx context.Context, a store.Auth, in protocol.HistoryUpload) error {
	const op = "history.upload"
	if len(in.Items) == 0 || len(in.Items) > protocol.MaxHistoryBatch {
		return fault.New(fault.Invalid, op, "The history cannot be stored like this.", "Update Daypass.")
	}
	id := in.Items[0].Session
	now := d.Now()
	for i := range in.Items {
		it := &in.Items[i]
		if it.Session != id || len(it.Hash) != 32 || it.Seq > protocol.MaxHistorySeq || len(it.Box) == 0 || len(it.Box) > protocol.MaxHistoryBox ||
			len(it.Actor) > 64 || len(it.Kind) > 64 || !utf8.ValidString(it.Actor) || !utf8.ValidString(it.Kind) || it.Gen < 1 || it.Rev != 0 ||
			it.At.Before(time.Unix(0, 0)) || it.At.After(now.Add(100*365*24*time.Hour)) {
			return fault.New(fault.Invalid, op, "The history cannot be stored like this.", "Update Daypass.")
		}
	}
	s, err := d.cfg.Store.Session(ctx, id)
	if err != nil {
		return stored(op, err)
	}
	if s.Profile != a.Profile.ID {
		return fault.New(fault.NotFound, op, "There is no such session.", "")
	}
	return stored(op, d.cfg.Store.PutHistory(ctx, s.Company, id, in.Items))
}

// History returns the company's items after a cursor, to leads.
func (d *Directory) History(ctx context.Context, a store.Auth, after int64) (protocol.HistoryPage, error) {
	const op = "history.download"
	if err := need(a, op, protocol.RoleLead); err != nil {
		return protocol.HistoryPage{}, err
	}
	p, err := d.cfg.Store.History(ctx, a.Profile.Company.ID, after)
	return p, stored(op, err)
}
