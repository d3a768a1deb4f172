package desk

import (
	"context"
	"errors"
	"slices"
	"time"

	"daypass/backend/fault"
	"daypass/backend/historykey"
	"daypass/backend/rendezvous"
	"daypass/backend/store"
)

// withKeys runs f with the company's key as it is at the server now. What was
// found to be changed is for f to judge: changed.
func (d *Desk) withKeys(op string, f func(ctx context.Context, h historian, st *store.Store, k *keys, changed bool) error) error {
	st, k, err := d.newKeys()
	if err != nil {
		return err
	}
	err = told(d, func(ctx context.Context, s Signaling) error {
		h, ok := s.(historian)
		if !ok {
			return fault.New(fault.Unsupported, op, "This server keeps no history.", "")
		}
		err := d.readKeys(ctx, h, st, k)
		changed := errors.Is(err, historykey.ErrChanged)
		if err != nil && !changed {
			return err
		}
		return f(ctx, h, st, k, changed)
	})
	if err == nil {
		d.SyncNow()
	}
	return err
}

func leadsOnly(op string, k *keys) error {
	if !k.lead {
		return fault.New(fault.Denied, op, "Only leads can do this.", "Ask a lead of your company.")
	}
	return nil
}

func changedFirst(op string) error {
	return fault.New(fault.Conflict, op, "The key to the company's history was changed.", "Decide first whether this is right: History shows it.")
}

// NewRecovery makes a recovery key and returns what is to be printed. It counts
// from KeepRecovery on; until then only this process knows it. For leads whose
// console has the key.
func (d *Desk) NewRecovery() (string, error) {
	const op = "history.recovery"
	words, key, err := historykey.NewRecovery()
	if err != nil {
		return "", err
	}
	err = d.withKeys(op, func(_ context.Context, _ historian, _ *store.Store, k *keys, changed bool) error {
		return errors.Join(leadsOnly(op, k), mayMake(op, k, changed))
	})
	if err != nil {
		return "", err
	}
	return words, d.do(func() error { d.recovery = &key; return nil })
}

// mayMake says why this console cannot make the next generation.
func mayMake(op string, k *keys, changed bool) error {
	last := k.chain.Last()
	switch {
	case changed:
		return changedFirst(op)
	case last == nil || k.private[last.Doc.Gen] == nil:
		return fault.New(fault.NotFound, op, "This computer does not have the key to the company's history yet.", "It comes by itself as soon as another lead's console is online.")
	}
	return nil
}

// DropRecovery forgets what NewRecovery made.
func (d *Desk) DropRecovery() error {
	return d.do(func() error { d.recovery = nil; return nil })
}

// KeepRecovery makes the recovery key of NewRecovery the company's, with a new
// generation of the history key: it opens this one, those before and those
// after. One that was there before opens nothing that comes after.
func (d *Desk) KeepRecovery() error {
	const op = "history.recovery"
	var key *historykey.Console
	if err := d.look(func() error { key = d.recovery; return nil }); err != nil {
		return err
	}
	if key == nil {
		return fault.New(fault.NotFound, op, "There is no recovery key to keep.", "Make one again.")
	}
	err := d.withKeys(op, func(ctx context.Context, h historian, st *store.Store, k *keys, changed bool) error {
		for range 3 {
			if err := errors.Join(leadsOnly(op, k), mayMake(op, k, changed)); err != nil {
				return err
			}
			err := d.makeKey(ctx, h, k, key.Device(), rendezvous.HistoryRecovery)
			if fault.KindOf(err) == fault.Conflict { // another console was faster: after its generation
				err = d.readKeys(ctx, h, st, k)
				if err == nil {
					continue
				}
			}
			if err != nil {
				return err
			}
			if err := d.readKeys(ctx, h, st, k); err != nil {
				return err
			}
			return d.handOn(ctx, h, st, k) // the generations before, too
		}
		return fault.New(fault.Conflict, op, "Other consoles of leads are changing the key at the same time.", "Try again in a minute.")
	})
	if err != nil {
		return err
	}
	return d.DropRecovery()
}

// UseRecovery opens what a printed recovery key was made for, and passes it on to
// this console, signed by the recovery key: so that the company's other consoles
// know it. For leads.
func (d *Desk) UseRecovery(words string) error {
	const op = "history.recovery"
	key, err := historykey.ParseRecovery(words)
	if err != nil {
		return err
	}
	return d.withKeys(op, func(ctx context.Context, h historian, _ *store.Store, k *keys, changed bool) error {
		if changed {
			return changedFirst(op)
		}
		if err := leadsOnly(op, k); err != nil {
			return err
		}
		me := k.me.Device()
		var wraps []rendezvous.HistoryWrap
		for i := range k.chain {
			g := &k.chain[i]
			private, err := g.Take(key.Key(), key.X)
			if fault.KindOf(err) == fault.NotFound {
				continue // made before the recovery key was, or for another one
			}
			if err != nil {
				return err
			}
			if k.private[g.Doc.Gen] != nil {
				continue
			}
			w, err := historykey.Give(k.company, g.Doc.Gen, private, key, me.Ed, me.X)
			if err != nil {
				return err
			}
			wraps = append(wraps, rendezvous.HistoryWrap{Gen: g.Doc.Gen, To: me.Ed, Wrap: w})
		}
		if len(wraps) == 0 {
			return fault.New(fault.Denied, op, "This recovery key opens nothing that this computer lacks.", "It may be another company's, or one that was replaced. Look for the newest page.")
		}
		for part := range slices.Chunk(wraps, passAtOnce) {
			if err := h.AddHistoryWraps(ctx, part, rendezvous.HistoryRecovery); err != nil {
				return err
			}
		}
		return nil
	})
}

// RenewKey begins anew where nobody has the key any more: a generation that no
// known console signed. Colleagues' consoles show it as changed until their
// people have compared its fingerprint. For leads without the key.
func (d *Desk) RenewKey() error {
	const op = "history.renew"
	return d.withKeys(op, func(ctx context.Context, h historian, st *store.Store, k *keys, changed bool) error {
		empty := changed && len(k.all.Docs) == 0 // the server lost all
		if changed && !empty {
			return changedFirst(op)
		}
		if err := leadsOnly(op, k); err != nil {
			return err
		}
		last := k.chain.Last()
		if !empty && (last == nil || k.private[last.Doc.Gen] != nil) {
			return fault.New(fault.Conflict, op, "The key to the company's history is not lost.", "")
		}
		var before []byte
		if last != nil {
			// Without the recovery key of before: whoever has it gets nothing of what is
			// made here.
			fresh := *last
			fresh.Doc.Recovery = historykey.Device{}
			k.chain = append(slices.Clone(k.chain[:len(k.chain)-1]), fresh)
			before = fresh.Hash[:]
		}
		if err := d.makeKey(ctx, h, k, historykey.Device{}, rendezvous.HistoryRenewed); err != nil {
			return err
		}
		all, err := h.HistoryKeys(ctx)
		if err != nil {
			return err
		}
		claimed, err := historykey.Claimed(all.Company, all.Docs)
		if err != nil {
			return err
		}
		g := claimed.Last()
		if g == nil || g.Doc.Maker != k.me.Key() || string(g.Doc.Prev) != string(before) {
			return fault.New(fault.Hostile, op, "The server has another key than the one that was made here.", "Tell whoever runs the server.")
		}
		return d.accept(ctx, h, st, k, g)
	})
}

// AcceptKey goes on with the key that the server has instead of the one that was
// known: the one with that fingerprint, which a person has compared with a lead.
func (d *Desk) AcceptKey(fingerprint string) error {
	const op = "history.accept"
	return d.withKeys(op, func(ctx context.Context, h historian, st *store.Store, k *keys, changed bool) error {
		g := k.claimed.Last()
		if !changed || g == nil {
			return fault.New(fault.Conflict, op, "There is no changed key to accept.", "")
		}
		if g.Fingerprint() != fingerprint {
			return fault.New(fault.Hostile, op, "The key at the server has changed once more. It was not accepted.", "Compare the new fingerprint with a lead.")
		}
		return d.accept(ctx, h, st, k, g)
	})
}

// accept tells the others first: if that fails, nothing is changed here.
func (d *Desk) accept(ctx context.Context, h historian, st *store.Store, k *keys, g *historykey.Generation) error {
	s, err := k.me.SignAccept(g, k.pin, time.Now())
	if err != nil {
		return err
	}
	if err := h.AcceptHistoryKey(ctx, s, g.Doc.Gen, g.Fingerprint()); err != nil {
		return err
	}
	d.log.Warn("history key accepted by a person", "generation", g.Doc.Gen, "fingerprint", g.Fingerprint())
	return d.follow(ctx, st, k, historykey.Pin{Gen: g.Doc.Gen, Hash: g.Hash[:]})
}
