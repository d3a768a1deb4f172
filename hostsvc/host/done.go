package host

import (
	"slices"
	"strings"
	"time"

	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/hostsvc/consent"
)

// "What was done", in the window and in the receipt, is told by the record that
// both sides keep: the console's entries and what this computer said. What this
// computer saw and the record does not tell yet is shown as well, until the
// console's entry takes its place.

// maxDone bounds what a receipt tells, in lines; it holds the newest.
const maxDone = 2000

// maxSeen bounds what was seen and is not in the record yet.
const maxSeen = 200

// The values of Details.What: activities of this computer that have words of
// their own in the window.
const (
	whatHour         = "hour_left"
	whatMinutes      = "minutes_left"
	whatAsked        = "right_asked"
	whatNotNow       = "right_not_now"
	whatReboot       = "reboot"
	whatRebootNot    = "reboot_refused"
	whatRebootFailed = "reboot_failed"
	whatBack         = "back"
	whatRaised       = "raised"
	whatAgainNot     = "again_refused"
)

// activities are the lines that this computer says for the record as an
// activity. Text: in English, RIGHTS stands for the rights of the line.
var activities = []struct {
	line        consent.LineKind
	what        string
	actor, text string
}{
	{consent.LineHourLeft, whatHour, actorHost, "Less than an hour is left."},
	{consent.LineMinutesLeft, whatMinutes, actorHost, "Less than ten minutes are left."},
	{consent.LineAsked, whatAsked, actorHost, "The technician asked to be allowed: RIGHTS."},
	{consent.LineNotNow, whatNotNow, actorCustomer, "The customer did not allow: RIGHTS."},
	{consent.LineReboot, whatReboot, actorHost, "The computer restarts."},
	{consent.LineRebootNot, whatRebootNot, actorCustomer, "The customer did not let the computer restart."},
	{consent.LineRebootFailed, whatRebootFailed, actorHost, "The computer was not restarted."},
	{consent.LineBack, whatBack, actorHost, "The program on the computer was started again."},
	{consent.LineRaised, whatRaised, actorCustomer, "The customer let the program come back by itself after a restart."},
	{consent.LineAgainNot, whatAgainNot, actorCustomer, "The customer did not let another console go on with the session."},
}

// line adds to "What was done": what this computer says itself is said for the
// record; the rest, which the console's entries tell, is shown until they do.
func (s *session) line(l consent.Line) {
	l.At = time.Now()
	for _, a := range activities {
		if a.line == l.Kind {
			text := strings.Replace(a.text, "RIGHTS", rightsWords(l.Rights), 1)
			s.say(a.actor, "activity", text, journal.Details{What: a.what, Changed: l.Rights})
			s.done()
			return
		}
	}
	s.rec.see(l)
	s.done()
}

// done shows what was done.
func (s *session) done() {
	s.show(func(m *consent.Model) { m.Events = s.rec.done(200) })
}

// rightsFact is a change of rights in words for the record; l tells it.
func rightsFact(allowed grant.Rights, l consent.Line, now time.Time) journal.Fact {
	d := journal.Details{Rights: rightsNames(allowed), Allowed: allowed, Changed: l.Rights}
	actor := actorCustomer
	switch l.Kind {
	case consent.LineRightOver:
		actor, d.By = actorHost, "time"
	case consent.LineRightOn:
		d.Folder = l.Text
		if l.For > 0 {
			until := now.Add(l.For).UTC().Truncate(time.Second)
			d.Until = &until
		}
	}
	return journal.Fact{At: now, Actor: actor, Kind: "rights", Text: "Allowed from now on: " + rightsWords(allowed) + ".", Details: d.JSON()}
}

// telling turns the record into lines, entry by entry. It is a value: a copy
// tells what would come next.
type telling struct {
	lines  []consent.Line
	lost   bool   // the connection
	paused string // by whom
}

// tell adds what an entry, or a fact that is not in the record yet, says. It
// returns the line that the entry takes the place of, if this computer saw it.
func (t *telling) tell(at time.Time, actor, kind, text string, d journal.Details) (consent.LineKind, bool) {
	l := consent.Line{At: at}
	seen := false
	switch kind {
	case "activated":
		l.Kind, seen = consent.LineActivated, true
	case journal.KindOpened, "view_only":
		l.Kind, l.Rights, seen = consent.LineWatching, grant.View|grant.Control, kind == journal.KindOpened
		if d.ViewOnly {
			l.Rights = grant.View
		}
	case "remote_closed":
		l.Kind, seen = consent.LineLeft, true
	case "display":
		l.Kind, l.Text = consent.LineDisplay, d.Display
	case "chord":
		l.Kind, l.Text = consent.LineKeys, d.Keys
	case journal.KindClipSent:
		l.Kind, seen = consent.LineClipboardIn, true
	case journal.KindClipFetched:
		l.Kind, seen = consent.LineClipboardOut, true
	case "disconnected":
		l.Kind, seen, t.lost = consent.LineOffline, true, true
	case "connected":
		if !t.lost {
			return 0, false
		}
		l.Kind, seen, t.lost = consent.LineOnline, true, false
	case "rights":
		l.Kind, l.Rights = consent.LineRightOff, d.Changed
		switch {
		case d.By == "time":
			l.Kind = consent.LineRightOver
		case d.Changed == 0: // of another version: what is allowed now
			l.Kind, l.Rights = consent.LineRightOn, d.Allowed
		case d.Allowed.Has(d.Changed):
			l.Kind, l.Text = consent.LineRightOn, d.Folder
			if d.Until != nil {
				l.For = max(time.Minute, d.Until.Sub(at).Round(time.Minute))
			}
		}
	case "paused":
		l.Kind = map[string]consent.LineKind{"customer": consent.LineStopped, "bar": consent.LineBarHidden, "locked": consent.LineLockedScreen}[d.By]
		if t.paused = d.By; l.Kind == 0 {
			return 0, false
		}
	case "resumed":
		l.Kind = consent.LineResumed
		if t.paused != "customer" {
			l.Kind = consent.LineGoesOn
		}
		t.paused = ""
	case journal.KindMovedHere:
		l.Kind = consent.LineAgain
	case journal.KindObjection:
		l.Kind = consent.LineObjection
	case "reboot":
		if actor != "technician" {
			return 0, false // this computer says it itself
		}
		l.Kind, seen = consent.LineRebootAsked, true
	case "activity":
		l.Kind, l.Text = consent.LineText, text
		for _, a := range activities {
			if a.what == d.What {
				l.Kind, l.Rights, l.Text = a.line, d.Changed, ""
			}
		}
	case "end_requested", "ended", "removed": // the head of the receipt says so
		return 0, false
	default: // what a later version tells is not hidden
		if actor != "technician" || text == "" {
			return 0, false
		}
		l.Kind, l.Text = consent.LineText, text
	}
	t.lines = append(t.lines, l)
	return l.Kind, seen
}

// see remembers what this computer saw and the console's entries will tell.
func (r *record) see(l consent.Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen = append(r.seen, l); len(r.seen) > maxSeen {
		r.seen = slices.Delete(r.seen, 0, 1)
	}
}

// tellEntry takes an entry of the record into the list. r.mu is held.
func (r *record) tellEntry(e *journal.Entry) {
	kind, seen := r.told.tell(e.At, e.Actor, e.Kind, e.Text, e.Detail())
	if !seen || e.Fact != nil {
		return
	}
	if i := slices.IndexFunc(r.seen, func(l consent.Line) bool { return l.Kind == kind }); i >= 0 {
		r.seen = slices.Delete(slices.Clone(r.seen), i, i+1)
	}
}

// done is "What was done", the newest at the end, at most limit lines: the
// record in its order, then what it does not hold yet, by time.
func (r *record) done(limit int) []consent.Line {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.whole()
	known := len(r.told.lines)
	last := append(slices.Clip(t.lines[known:]), r.seen...)
	slices.SortStableFunc(last, func(a, b consent.Line) int { return a.At.Compare(b.At) })
	all := append(slices.Clip(t.lines[:known]), last...)
	return slices.Clone(all[max(0, len(all)-limit):])
}

// whole is the record with what was said and is not in it yet. r.mu is held.
func (r *record) whole() telling {
	t := r.told
	t.lines = slices.Clip(t.lines)
	for _, s := range r.facts[min(r.placed, uint64(len(r.facts))):] {
		if f, err := journal.OpenFact(r.host, r.session, s); err == nil {
			e := journal.Entry{Details: f.Details}
			t.tell(f.At, f.Actor, f.Kind, f.Text, e.Detail())
		}
	}
	return t
}

// stopped reports whether the customer pressed Stop and not Resume since.
func (r *record) stopped() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.whole()
	return t.paused == "customer"
}
