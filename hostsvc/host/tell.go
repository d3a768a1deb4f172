package host

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/pairing"
	"daypass/backend/rendezvous"
	"daypass/hostsvc/consent"
)

// This file tells the technician why this computer does not go on with an
// invitation, as long as there is no pairing: sealed under the link's password,
// over the mailbox.

// whys are the refusals that only this computer knows of. The server tells the
// technician of all others.
var whys = map[consent.Refusal]pairing.Why{
	consent.RefusedFault: pairing.WhyOther, consent.AlreadyThere: pairing.WhyRunning, consent.EarlierSession: pairing.WhyEarlier,
	consent.NoDisplay: pairing.WhyNoDisplay, consent.Wayland: pairing.WhyWayland, consent.SystemUnsupported: pairing.WhyUnsupported,
}

const (
	tellRefusal = 2 * time.Second  // for a word on the way out; nobody waits longer for it
	tellAgain   = 10 * time.Second // of one message
)

// telling tells the technician why in the background, while the customer reads
// it, and again whenever a console comes. What it returns ends that: at once if
// the word is out, else after tellRefusal at most.
func (r *run) telling(ctx context.Context, why consent.Refusal) (stop func()) {
	if w, ok := whys[why]; ok {
		return r.tellWhy(ctx, w)
	}
	return func() {}
}

func (r *run) tellWhy(ctx context.Context, w pairing.Why) (stop func()) {
	link := r.invited
	if link == nil || r.serves(*link) {
		return func() {}
	}
	msg, err := pairing.SealRefusal(link.Secret, link.Session, w, r.cfg.System.Report())
	if err != nil {
		r.log.Warn("the technician is not told", "cause", err)
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	out, done, waits := make(chan struct{}), make(chan struct{}), r.waits
	go func() {
		defer close(done)
		if waits != nil { // the console knows this computer by this mailbox
			if err := waits.Send(ctx, msg); err != nil {
				r.log.Debug("the technician was not told", "cause", err)
			}
			close(out)
			return
		}
		box := r.connect(*link, pairing.NewDevice().Ed, rendezvous.NewInstance())
		defer r.hangUp(box)
		told := func() {}
		told = func() { close(out); told = func() {} }
		var was rendezvous.HostEvent
		for {
			select {
			case <-ctx.Done():
				return
			case e, ok := <-box.Events():
				if !ok || e.Ended != nil || e.Rejected != nil && e.Rejected.Kind != fault.Offline {
					told() // nobody is to be told any more
					return
				}
				if e.Online && !was.Online || e.ConsolePresent && !was.ConsolePresent {
					c, stop := context.WithTimeout(ctx, tellAgain)
					err := box.Send(c, msg)
					stop()
					if err == nil {
						told()
					} else {
						r.log.Debug("the technician was not told", "cause", err)
					}
				}
				was = e
			case _, ok := <-box.Receive(): // nothing answers a refusal
				if !ok {
					return
				}
			}
		}
	}()
	return func() {
		t := time.NewTimer(tellRefusal)
		defer t.Stop()
		select {
		case <-out:
		case <-t.C:
		case <-ctx.Done():
		}
		cancel()
		<-done
	}
}

// serves reports whether this computer has the very session of link already:
// then opening the program once more is no refusal.
func (r *run) serves(link pairing.Link) bool {
	for _, dir := range folders(r.cfg.Base) {
		if strings.HasSuffix(filepath.Base(dir), "-"+link.Session.String()) {
			return true
		}
	}
	return false
}
