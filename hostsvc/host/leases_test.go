package host

import (
	"image"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/wire"
	"daypass/hostsvc/consent"
)

func TestARightEndsByItselfAndTheConsoleSeesItsTime(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.remote()
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Control, On: true, For: 15 * time.Minute})
	n := hear[*wire.RightsNow](t, r.link)
	if len(n.Leases) != 1 || n.Leases[0].Right != grant.Control || n.Leases[0].LeftMS < 14*60_000 || n.Offered != Offered {
		t.Fatalf("%+v", n)
	}
	m := r.view.until(t, "the limit", func(m consent.Model) bool { return len(m.Limits) == 1 })
	if left := time.Until(m.Limits[0].Until); left < 14*time.Minute || left > 15*time.Minute {
		t.Errorf("%v", left)
	}
	r.input(wire.Input{Kind: wire.InputMove, X: 1})
	r.eventually("input", func() bool { return r.inj.count() == 1 })
	r.mu.Lock()
	r.clock.Mono += 16 * time.Minute
	r.mu.Unlock()
	r.link.say(t, &wire.Open{}) // asked by the clock, not by a timer
	r.view.until(t, "nothing but seeing", func(m consent.Model) bool { return m.Doing == grant.View })
	r.input(wire.Input{Kind: wire.InputMove, X: 2})
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Clipboard, On: true, For: time.Millisecond}) // wakes the timer
	r.view.until(t, "the list", func(m consent.Model) bool {
		over := grant.Rights(0)
		for _, l := range m.Events {
			if l.Kind == consent.LineRightOver {
				over |= l.Rights
			}
		}
		return over.Has(grant.Control) && m.Allowed == grant.View|grant.Clipboard
	})
	if r.inj.count() != 1 {
		t.Error("input after its time")
	}
}

func TestTheConsoleCanAskAndTheCustomerAnswers(t *testing.T) {
	r := newRig(t)
	r.activate()
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Control, On: false})
	hear[*wire.RightsNow](t, r.link)
	r.link.say(t, &wire.AskRight{Rights: grant.Control})
	r.view.until(t, "the question", func(m consent.Model) bool { return m.Asked == grant.Control })
	r.link.say(t, &wire.AskRight{Rights: grant.Control})
	if ref := hear[*wire.Refused](t, r.link); ref.Kind != fault.Conflict {
		t.Errorf("%+v", ref)
	}
	r.do(consent.Action{Kind: consent.AnswerRight, On: true, For: 30 * time.Minute})
	n := hear[*wire.RightsNow](t, r.link)
	if !n.Rights.Has(grant.Control) || len(n.Leases) != 1 {
		t.Errorf("%+v", n)
	}
	r.view.until(t, "no question", func(m consent.Model) bool { return m.Asked == 0 && m.Allowed == Offered })
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Control, On: false})
	hear[*wire.RightsNow](t, r.link)
	r.link.say(t, &wire.AskRight{Rights: grant.Control})
	r.view.until(t, "the question", func(m consent.Model) bool { return m.Asked == grant.Control })
	r.do(consent.Action{Kind: consent.AnswerRight})
	if ref := hear[*wire.Refused](t, r.link); ref.Asked != wire.KindAskRight || ref.Kind != fault.Denied {
		t.Errorf("%+v", ref)
	}
	r.link.say(t, &wire.AskRight{Rights: grant.Control}) // and nobody is worn down
	if ref := hear[*wire.Refused](t, r.link); ref.Kind != fault.Limit {
		t.Errorf("%+v", ref)
	}
	r.link.say(t, &wire.AskRight{Rights: grant.Terminal})
	if ref := hear[*wire.Refused](t, r.link); ref.Kind != fault.Denied {
		t.Errorf("%+v", ref)
	}
	if m := r.view.until(t, "quiet", func(m consent.Model) bool { return true }); m.Asked != 0 || m.Allowed.Has(grant.Control) {
		t.Errorf("%+v", m)
	}
}

func TestTheGateShutsItselfAtItsLimit(t *testing.T) {
	inj := &fakeInjector{}
	g := newGate(nil)
	g.use(inj)
	g.Open(image.Rect(0, 0, 800, 600))
	g.Limit(time.Hour)
	b, err := wire.AppendInput(nil, &wire.Input{Kind: wire.InputMove, X: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, at := range []time.Duration{0, 59 * time.Minute, 61 * time.Minute, 0} {
		if err := g.Take(b, time.Now().Add(at)); err != nil {
			t.Fatal(err)
		}
		if want := min(i+1, 2); inj.count() != want {
			t.Errorf("after %v: %d", at, inj.count())
		}
	}
	if inj.released != 1 {
		t.Error("what was held stays held")
	}
}
