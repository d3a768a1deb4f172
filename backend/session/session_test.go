package session

import (
	"errors"
	"slices"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func fresh() Session {
	s, _ := Create(grant.NewID(), "Mia Roth", Customer{Email: "anna@example.com", Name: "Anna Weber", Language: "en"}, t0, t0.Add(InviteLimit))
	return s
}

// run applies facts one after the other and fails the test on a refusal.
func run(t *testing.T, s Session, facts ...Fact) (Session, []Effect) {
	t.Helper()
	var all []Effect
	for _, f := range facts {
		next, fx, err := s.Apply(f, t0.Add(time.Hour))
		if err != nil {
			t.Fatalf("%T in %s: %v", f, s.State, err)
		}
		s, all = next, append(all, fx...)
	}
	return s, all
}

func active(t *testing.T) Session {
	s, _ := run(t, fresh(), Answer{}, Choose{Host: Host{Computer: "PC-ANNA"}, Automatic: true}, CodeShown{},
		Activate{Host: Host{Computer: "PC-ANNA"}, Rights: grant.View | grant.Control, Expires: t0.Add(25 * time.Hour)})
	return s
}

func has[E Effect](fx []Effect) bool {
	return slices.ContainsFunc(fx, func(e Effect) bool { _, ok := e.(E); return ok })
}

func TestAWholeSession(t *testing.T) {
	s := active(t)
	if s.State != Active || s.Host.Computer != "PC-ANNA" || !s.Expires.Equal(t0.Add(25*time.Hour)) {
		t.Fatalf("%+v", s)
	}
	s, fx := run(t, s, AskEnd{By: Technician})
	if s.State != Ending || s.EndedBy != grant.ByTechnician || !has[AwaitRemoval](fx) || has[WipePin](fx) {
		t.Fatalf("%s %v", s.State, fx)
	}
	s, fx = run(t, s, End{By: grant.ByTechnician}, Receipt{Clean: true, Lines: []string{"gone"}})
	if s.State != Removed || !s.Clean || !has[WipePin](fx) || !has[Disconnect](fx) {
		t.Fatalf("%s %v", s.State, fx)
	}
}

func TestActivationWipesTheSecretAndNobodyExtendsTheDay(t *testing.T) {
	s, _ := run(t, fresh(), Answer{}, Choose{})
	s, fx := run(t, s, Activate{Expires: t0.Add(1000 * time.Hour)})
	if !has[WipeSecret](fx) || !has[Connect](fx) {
		t.Fatal(fx)
	}
	if want := t0.Add(time.Hour).Add(grant.Limit); !s.Expires.Equal(want) {
		t.Fatalf("expires %v, want %v", s.Expires, want)
	}
}

func TestRefusalsChangeNothing(t *testing.T) {
	over, _ := run(t, fresh(), Cancel{})
	for _, c := range []struct {
		s Session
		f Fact
	}{
		{active(t), Cancel{}},
		{active(t), Correct{Email: "b@example.com"}},
		{active(t), PutAway{}},
		{active(t), Choose{}},
		{fresh(), AskEnd{By: Technician}},
		{fresh(), CodeShown{}},
		{fresh(), Receipt{Clean: true}},
		{over, Activate{}},
		{over, Answer{}},
		{over, MailResult{State: MailSending}},
	} {
		next, fx, err := c.s.Apply(c.f, t0)
		if !errors.Is(err, &fault.Error{Kind: fault.Conflict}) || fx != nil {
			t.Errorf("%T in %s: %v %v", c.f, c.s.State, fx, err)
		}
		if next.State != c.s.State || next.Customer != c.s.Customer {
			t.Errorf("%T in %s changed the session", c.f, c.s.State)
		}
	}
}

func TestTimeEndsInvitationAndSession(t *testing.T) {
	s := fresh()
	if n, fx, err := s.Apply(Lapse{}, s.Invite.Add(-time.Second)); err != nil || len(fx) != 0 || n.State != Invited {
		t.Fatal("lapsed before its time")
	}
	n, fx, err := s.Apply(Lapse{}, s.Invite)
	if err != nil || n.State != Ended || n.EndedBy != grant.ByLapse || !has[WipeSecret](fx) {
		t.Fatalf("%v %v %v", n.State, fx, err)
	}
	a := active(t)
	n, fx, err = a.Apply(Lapse{}, a.Expires)
	if err != nil || n.State != Ending || n.EndedBy != grant.ByExpiry || !has[AwaitRemoval](fx) {
		t.Fatalf("%v %v %v", n.State, fx, err)
	}
}

func TestTheEndIsToldAtSixtyAndTenMinutesOnceEach(t *testing.T) {
	s := Session{State: Active, Expires: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	told := []int{}
	for _, left := range []time.Duration{24 * time.Hour, 61 * time.Minute, time.Hour, 59 * time.Minute, 70 * time.Minute, 11 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Second} {
		next, fx, err := s.Apply(Lapse{Now: s.Expires.Add(-left)}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fx {
			told = append(told, f.(WarnTime).Minutes)
		}
		s = next
	}
	if !slices.Equal(told, []int{60, 10}) {
		t.Fatal(told)
	}
	// A console that was off tells the last one only.
	s.Warned = 0
	next, fx, err := s.Apply(Lapse{Now: s.Expires.Add(-5 * time.Minute)}, time.Time{})
	if err != nil || len(fx) != 1 || fx[0] != (WarnTime{10}) {
		t.Fatalf("%v %v", fx, err)
	}
	if _, fx, err = next.Apply(Lapse{Now: s.Expires.Add(-4 * time.Minute)}, time.Time{}); err != nil || len(fx) != 0 {
		t.Fatalf("%v %v", fx, err)
	}
	// The believable time counts, not the one of the clock.
	if over, _, err := next.Apply(Lapse{Now: s.Expires.Add(-time.Minute)}, s.Expires.Add(48*time.Hour)); err != nil || over.State != Active {
		t.Fatalf("%v %v", over.State, err)
	}
	if Soon(0) != 0 || Soon(-time.Hour) != 0 {
		t.Fatal("told when it is over")
	}
}

func TestUnconfirmedRemovalCanStillBeConfirmed(t *testing.T) {
	s, fx := run(t, active(t), AskEnd{By: Technician}, NoReceipt{})
	if s.State != Unconfirmed || has[WipePin](fx) {
		t.Fatal("the pin must stay for a late receipt")
	}
	s, fx = run(t, s, Receipt{Clean: false, Lines: []string{"a file is in use"}})
	if s.State != Removed || s.Clean || !has[WipePin](fx) {
		t.Fatalf("%s", s.State)
	}
}

func TestEndBeforeActivationAwaitsNoRemoval(t *testing.T) {
	for _, by := range []grant.EndedBy{grant.ByCustomer, grant.ByLock, grant.ByLapse, grant.ByLead, grant.ByCancel} {
		s, fx := run(t, fresh(), Answer{}, End{By: by})
		if s.State != Ended || s.EndedBy != by || has[AwaitRemoval](fx) || !has[WipeSecret](fx) {
			t.Errorf("%s: %s %v", by, s.State, fx)
		}
	}
}

func TestRepeatedFactsAreSilent(t *testing.T) {
	s := active(t)
	for _, f := range []Fact{Activate{}, RightsChanged{Rights: s.Rights}, NoReceipt{}} {
		n, fx, err := s.Apply(f, t0)
		if err != nil || len(fx) != 0 || n.State != Active {
			t.Errorf("%T: %v %v", f, fx, err)
		}
	}
	e, _ := run(t, s, AskEnd{By: Technician})
	if n, fx, err := e.Apply(End{By: grant.ByTechnician}, t0); err != nil || len(fx) != 0 || n.State != Ending {
		t.Errorf("the server's echo of our own end: %v %v", fx, err)
	}
}

func TestCorrectedAddressAllowsSendingAgain(t *testing.T) {
	s, _ := run(t, fresh(), MailResult{State: MailFailed, To: "anna@example.com", Err: fault.New(fault.Invalid, "x", "No such mailbox.", "Correct it.")})
	if s.Mail.State != MailFailed || s.Mail.Message != "No such mailbox." {
		t.Fatalf("%+v", s.Mail)
	}
	s, fx := run(t, s, Correct{Email: "anna.weber@example.com", Name: "Anna Weber"})
	if s.Mail.State != MailNone || s.Customer.Email != "anna.weber@example.com" || !has[Detailed](fx) {
		t.Fatalf("%+v", s)
	}
	if s, _ = run(t, s, MailResult{State: MailSending}, MailResult{State: MailSent, To: s.Customer.Email}); s.Mail.State != MailSent {
		t.Fatalf("%+v", s.Mail)
	}
}

func TestLostHostOpensTheInvitationAgain(t *testing.T) {
	s, _ := run(t, fresh(), Answer{}, Choose{Host: Host{Computer: "A"}}, Lost{})
	if s.State != Invited || s.Host != nil {
		t.Fatalf("%+v", s)
	}
}

// No order of facts leads out of a state that is over, or to an active session
// without an activation.
func TestNoFactRevivesASession(t *testing.T) {
	facts := []Fact{
		Answer{},
		Choose{},
		Lost{},
		CodeShown{},
		WrongCode{},
		Activate{},
		Cancel{},
		AskEnd{By: Technician},
		AskEnd{By: LeadA},
		End{By: grant.ByCustomer},
		Receipt{Clean: true},
		NoReceipt{},
		RightsChanged{Rights: grant.All},
		Lapse{},
		PutAway{},
		Note{},
	}
	rank := map[State]int{Invited: 0, Answered: 0, Pairing: 0, Active: 1, Ending: 2, Ended: 3, Unconfirmed: 3, Removed: 4}
	type key struct {
		st  State
		was bool
	}
	done := map[key]bool{}
	queue := []Session{fresh()}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if done[key{s.State, s.WasActive}] {
			continue
		}
		done[key{s.State, s.WasActive}] = true
		for _, f := range facts {
			n, _, err := s.Apply(f, t0.Add(30*time.Hour))
			if err != nil {
				continue
			}
			if rank[n.State] < rank[s.State] {
				t.Errorf("%T leads from %s back to %s", f, s.State, n.State)
			}
			if _, ok := f.(Activate); n.State == Active && s.State != Active && !ok {
				t.Errorf("%T makes a session active", f)
			}
			queue = append(queue, n)
		}
	}
	if len(done) < 8 {
		t.Fatalf("only %d states reached", len(done))
	}
}
