package host

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"daypass/backend/fault"
	"daypass/backend/faultpoint"
	"daypass/backend/grant"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/removal"
)

// ending is an end that was decided; it is final.
type ending struct {
	by     grant.EndedBy
	signed *grant.Signed // by whoever ended it; ours where nobody else did
	own    bool
}

// end decides that the session is over. The first one counts. It is stored
// before anything is done about it, so that a crash does not bring it back.
func (s *session) end(by grant.EndedBy, signed *grant.Signed) {
	if s.ended != nil {
		return
	}
	s.gate.Shut()
	s.stopRemote()
	s.stopNext()
	e, err := s.st.end(by, signed)
	if err != nil {
		s.log.Error("the end could not be stored", "cause", err)
	}
	s.ended = e
	if e.own {
		s.sayEnded(by)
	}
	s.log.Info("session ends", "by", by)
}

func (s *state) end(by grant.EndedBy, signed *grant.Signed) (*ending, error) {
	e := &ending{by: by, signed: signed}
	var err error
	if signed == nil {
		e.own = true
		var own grant.Signed
		if own, err = grant.Sign(s.dev.Ed, grant.ContextEnded, grant.Ended{Session: s.Session, By: by, At: time.Now().UTC()}); err == nil {
			e.signed = &own
		}
	}
	s.EndedBy, s.Ended, s.Secret, s.Next = by, e.signed, "", nil
	faultpoint.Hit("host/ended signed", "")
	if serr := s.save(); err == nil {
		err = serr
	}
	faultpoint.Hit("host/ended stored", "")
	return e, err
}

// finish removes everything, tells those who must know, and shows the report.
func (s *session) finish(ctx context.Context) error {
	e := s.ended
	s.show(func(m *consent.Model) {
		m.Screen, m.Progress, m.Step, m.Steps = consent.Ending, consent.ClosingConnection, 0, 0
		m.Watching, m.Doing, m.Paused, m.Again = false, 0, false, false
	})
	if e.own && e.signed != nil {
		s.send(&wire.End{Ended: *e.signed})
	}
	s.send(&wire.Ending{By: e.by})
	told, known := make(chan struct{}), false // known: the server has our end; after told
	tell, stop := context.WithTimeout(context.WithoutCancel(ctx), tellTimeout)
	defer stop()
	s.beside(func() {
		defer close(told)
		if e.own && e.signed != nil {
			known = s.retry(tell, "end", func(c context.Context) error { return s.box.End(c, *e.signed) })
		}
	})
	s.leave(s.st.journal.Dir())
	n := s.st.newNote(e, s.st.body(s.cfg.System.Report(), s.rec.done(maxDone)), s.cfg.System.Report().Language)
	n.keepRecord(s.rec, s.st.pin.PeerX)
	rep := n.remove(ctx, s.log, func(done, all int) {
		s.show(func(m *consent.Model) {
			m.Progress, m.Step, m.Steps = consent.RemovingFiles, done, all
			if done == all {
				m.Progress = consent.CheckingRemoval
			}
		})
	}, s.lastSaid)
	s.witness(ctx, n) // before the last word: it ends the link
	n.store(s.cfg.ReceiptPath, s.log)
	if n.Removed != nil {
		s.send(&wire.Removed{Removed: *n.Removed, Lines: n.Body.Removal.Report})
	}
	s.show(func(m *consent.Model) { m.Progress = consent.TellingServer })
	<-told
	n.Own = n.Own && !known
	ok := s.tell(tell, s.box, n) || e.by == grant.ByServer
	n.Told = ok
	if last, over := n.finish(ctx); over {
		rep = last
	}
	removeEmpty(s.cfg.Base)
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTimeout)
	if err := s.link.Close(bye, "removed"); err != nil {
		s.log.Debug("link not closed", "cause", err)
	}
	cancel()
	s.log.Info("removed", "clean", rep.Clean, "left", len(rep.Left), "told", ok)
	s.show(func(m *consent.Model) {
		m.Screen = consent.Removed
		m.Report = &consent.Report{
			By: e.by, At: time.Now(), Clean: rep.Clean, Removed: rep.Removed, Left: rep.Left, Waiting: rep.Last,
			Told: ok, Receipt: n.Seal != nil, Both: n.Console != nil, SavedTo: n.Saved,
		}
	})
	rc := n.receipt()
	s.st.dev.Wipe()
	return s.lastPage(ctx, rc)
}

func cutLines(in []string) []string {
	out := make([]string, 0, len(in))
	for _, l := range in {
		out = append(out, cut(l))
	}
	return out[:min(len(out), wire.MaxReportLines)]
}

// retry repeats what is idempotent until the server took it or ctx ends.
func (r *run) retry(ctx context.Context, what string, f func(context.Context) error) bool {
	wait := 200 * time.Millisecond
	for {
		err := f(ctx)
		if err == nil {
			return true
		}
		if k := fault.KindOf(err); k != fault.Offline && k != fault.Limit && k != fault.Internal {
			r.log.Warn("the server does not take it", "what", what, "cause", err)
			return false
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			r.log.Warn("the server could not be told", "what", what, "cause", err)
			return false
		case <-t.C:
		}
		wait = min(2*wait, 3*time.Second)
	}
}

// lastPage waits until the customer has seen the report.
func (s *session) lastPage(ctx context.Context, rc *copyOf) error {
	t := time.NewTimer(reportTimeout)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			return nil
		case f := <-s.posts:
			f()
		case a, ok := <-s.acts:
			if !ok {
				return nil
			}
			switch a.Kind {
			case consent.Leave, consent.Cancel:
				return nil
			case consent.SaveReceipt:
				path := a.Path
				if path == "" && s.cfg.ReceiptPath != nil {
					path = s.cfg.ReceiptPath()
				}
				err := rc.save(path)
				rep := *s.model.Report
				if rep.SavedTo, rep.Fault = path, nil; err != nil {
					rep.SavedTo, rep.Fault = "", fault.Of(err)
				}
				s.show(func(m *consent.Model) { m.Report = &rep })
			}
		}
	}
}

// sweep removes a folder whose state cannot be read, by its journal if that can.
func (r *run) sweep(ctx context.Context, dir string) {
	if j, err := removal.Open(dir); err == nil {
		removeAll(ctx, j)
		return
	}
	if err := os.RemoveAll(filepath.Clean(dir)); err != nil { // our own name in our own folder
		r.log.Warn("folder not removed", "cause", err)
	}
}

// removeAll does both phases of a removal.
func removeAll(ctx context.Context, j *removal.Journal) removal.Report {
	ctx = context.WithoutCancel(ctx)
	return j.Finish(ctx, j.Run(ctx, nil), nil)
}

// finishOld ends and removes an earlier session.
func (r *run) finishOld(ctx context.Context, st *state, by grant.EndedBy) removal.Report {
	e := &ending{by: by, signed: st.Ended}
	if st.EndedBy == "" {
		var err error
		if e, err = st.end(by, nil); err != nil {
			r.log.Error("the end could not be stored", "cause", err)
		}
	}
	rep := r.cfg.System.Report()
	rec := st.lastRecord(by, e.own)
	var done []consent.Line
	if rec != nil {
		done = rec.done(maxDone)
	}
	n := st.newNote(e, st.body(rep, done), rep.Language)
	if rec != nil {
		n.keepRecord(rec, st.pin.PeerX)
	}
	defer st.pin.Wipe()
	return r.settle(ctx, n)
}

// Uninstall finishes the removal of everything that earlier starts left for
// cfg's display and for displays where no program runs, and returns one report
// for each session. While a program runs on cfg's display it fails with *Busy. It needs only Base, Display, System.Connect,
// System.Clock and Log of cfg.
func Uninstall(ctx context.Context, cfg Config) ([]removal.Report, error) {
	dir, err := prepareBase(cfg.Base)
	if err != nil {
		return nil, err
	}
	cfg.Base = dir
	r := &run{cfg: cfg, log: cfg.Log}
	if r.lock, err = Acquire(dir, cfg.Display); err != nil {
		return nil, err
	}
	defer r.tidy()
	var out []removal.Report
	r.abandoned(func(d string, _ bool) {
		if n, err := loadNote(d); err == nil {
			out = append(out, r.settle(ctx, n))
			return
		}
		st, err := loadState(d)
		if err != nil {
			r.sweep(ctx, d)
			return
		}
		by := st.EndedBy
		if by == "" {
			by = grant.ByCustomer
		}
		out = append(out, r.finishOld(ctx, st, by))
	})
	return out, nil
}
