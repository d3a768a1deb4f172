// Package session is the life of one support session as a pure state machine:
// facts go in, a new state and effects come out. It must not know time, disks,
// networks or windows; whoever drives it says what happened and when, and does
// what the effects ask for.
package session

import (
	"fmt"
	"strings"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
)

// State is where a session stands. Values are stored and sent, so they never
// change meaning.
type State string

// The states, in the order in which a session goes through them.
const (
	Invited     State = "invited"     // counts against the limits; nobody answered yet
	Answered    State = "answered"    // a host is there, none is chosen
	Pairing     State = "pairing"     // a host is chosen and the code is asked for
	Active      State = "active"      // both sides confirmed; the 24 hours run
	Ending      State = "ending"      // end is asked for or was said, removal is awaited
	Ended       State = "ended"       // over, and there is no host whose removal is awaited
	Removed     State = "removed"     // over, and the host said what became of it
	Unconfirmed State = "unconfirmed" // over, and the host never said that it is gone
)

// Valid reports whether s is a known state.
func (s State) Valid() bool {
	switch s {
	case Invited, Answered, Pairing, Active, Ending, Ended, Removed, Unconfirmed:
		return true
	}
	return false
}

// Open reports whether the session can still become active.
func (s State) Open() bool { return s == Invited || s == Answered || s == Pairing }

// Live reports whether the session takes a place in the limits.
func (s State) Live() bool { return s.Open() || s == Active }

// Over reports whether the session has come to its end, whatever is known of
// the host.
func (s State) Over() bool { return s == Ended || s == Removed || s == Unconfirmed }

// Bounds of what a person types.
const (
	MaxEmail   = 254  // bytes, RFC 5321
	MaxName    = 80   // bytes of the customer's name
	MaxSubject = 120  // bytes of the case's subject
	MaxNote    = 1000 // bytes of the technician's own words in the invitation
)

// InviteLimit is how long an invitation can be answered.
const InviteLimit = 24 * time.Hour

// Customer is whom the session is for. It stays on the console.
type Customer struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Subject  string `json:"subject"`
	Language string `json:"language"`       // "en" or "de"
	Note     string `json:"note,omitempty"` // the technician's own words in the invitation
}

// Label is the name under which the session is listed: the customer's name, or
// the part of the address before the @.
func (c Customer) Label() string {
	if c.Name != "" {
		return c.Name
	}
	if local, _, ok := strings.Cut(c.Email, "@"); ok && local != "" {
		return local
	}
	return c.Email
}

// MailState says what became of the invitation mail.
type MailState string

// The states of the invitation mail.
const (
	MailNone    MailState = "none"
	MailSending MailState = "sending"
	MailSent    MailState = "sent"   // the mail server took it; whether it arrived only the recipient knows
	MailFailed  MailState = "failed" // see Mail.Fault
	MailCopied  MailState = "copied" // the technician copied the link
	MailOpened  MailState = "opened" // the technician's mail program was opened with it
)

// Mail is the invitation mail's state.
type Mail struct {
	State   MailState `json:"state"`
	At      time.Time `json:"at,omitzero"`
	Message string    `json:"message,omitempty"` // why it failed, in words
	Hint    string    `json:"hint,omitempty"`
	Kind    string    `json:"kind,omitempty"`
	Op      string    `json:"op,omitempty"`
	Details string    `json:"details,omitempty"` // what the mail server itself said, bounded
	Server  bool      `json:"server,omitempty"`  // the company's server sends it, by the company's policy
}

// Host is what the host said of itself when it was activated.
type Host struct {
	Computer string `json:"computer"`
	OS       string `json:"os"`
	User     string `json:"user"`
	TimeZone string `json:"time_zone"`
	Version  string `json:"version"`
}

// Refused is why the computer that opened the invitation last does not go on
// with it. The words for Why are the page's.
type Refused struct {
	Why      string    `json:"why"` // a pairing.Why as a word, see Refuse
	Computer string    `json:"computer"`
	At       time.Time `json:"at"`
	Times    int       `json:"times"` // of the whole invitation; at most MaxRefused
}

// MaxRefused is how many refusals of one invitation are taken down: whoever
// holds the link can send any number.
const MaxRefused = 16

// Session is everything a console keeps of a session, secrets excepted. It is
// a value: Apply returns a changed copy.
type Session struct {
	ID         grant.ID      `json:"id"`
	State      State         `json:"state"`
	Mine       bool          `json:"mine"` // this console holds its keys
	Technician string        `json:"technician"`
	Customer   Customer      `json:"customer"`
	Created    time.Time     `json:"created"`
	Invite     time.Time     `json:"invite"` // end of the invitation
	Mail       Mail          `json:"mail"`
	Host       *Host         `json:"host,omitempty"`
	Refused    *Refused      `json:"refused,omitempty"` // until another computer answers
	Rights     grant.Rights  `json:"rights"`            // what the customer allows
	Activated  time.Time     `json:"activated,omitzero"`
	Expires    time.Time     `json:"expires,omitzero"`
	EndedAt    time.Time     `json:"ended_at,omitzero"`
	EndedBy    grant.EndedBy `json:"ended_by,omitempty"`
	WasActive  bool          `json:"was_active,omitempty"`
	Again      bool          `json:"again,omitempty"`   // to go on with at this console: the customer is asked for a fresh code
	Clean      bool          `json:"clean,omitempty"`   // host said that nothing is left
	Report     []string      `json:"report,omitempty"`  // removal report, line by line
	Receipt    *grant.Signed `json:"receipt,omitempty"` // grant.Removed as the host signed it
	Used       time.Time     `json:"used,omitzero"`     // when the server turned another program with the link away last
	Warned     int           `json:"warned,omitempty"`  // minutes: the latest of WarnAt that was said
	Put        bool          `json:"put,omitempty"`     // put away: not shown among the sessions any more
}

// Actor is who caused a fact.
type Actor string

// The actors.
const (
	Technician Actor = "technician"
	CustomerA  Actor = "customer"
	HostA      Actor = "host"
	ConsoleA   Actor = "console"
	ServerA    Actor = "server"
	LeadA      Actor = "lead"
)

// Effect is something the driver must do after a fact was applied and stored.
type Effect any

// The effects.
type (
	// Record asks for an entry in the journal.
	Record struct {
		Actor Actor
		Kind  string // one of the Kind* constants
		Text  string // one plain sentence, without secrets
	}
	// Detailed is Record with what it says besides its words.
	Detailed struct {
		Record
		Details journal.Details
	}
	// WipeSecret asks to wipe the link's secret: it is not needed any more.
	WipeSecret struct{}
	// WipePin asks to wipe the pinned keys of the host.
	WipePin struct{}
	// Disconnect asks to close the link and Remote Control.
	Disconnect struct{}
	// Connect asks to open the link to the pinned host.
	Connect struct{}
	// WarnTime asks to tell the technician, once, that the session ends soon.
	WarnTime struct{ Minutes int } // one of WarnAt
	// AwaitRemoval asks to start the clock for the host's last word.
	AwaitRemoval struct{}
)

// Kinds of journal entries.
const (
	KindCreated       = "created"
	KindMailed        = "mailed"
	KindMailFailed    = "mail_failed"
	KindLinkCopied    = "link_copied"
	KindCorrected     = "corrected"
	KindAnswered      = "answered"
	KindChosen        = "chosen"
	KindCodeShown     = "code_shown"
	KindWrongCode     = "wrong_code"
	KindActivated     = "activated"
	KindConnected     = "connected"
	KindDisconnected  = "disconnected"
	KindRemoteOpened  = "remote_opened"
	KindRemoteClosed  = "remote_closed"
	KindDisplay       = "display"
	KindRights        = "rights"
	KindPaused        = "paused"
	KindClipSent      = "clipboard_sent"
	KindClipFetched   = "clipboard_fetched"
	KindChord         = "chord"
	KindEndRequested  = "end_requested"
	KindEnded         = "ended"
	KindRemoved       = "removed"
	KindUnconfirmed   = "removal_unconfirmed"
	KindConsoleClosed = "console_closed"
	KindConsoleBack   = "console_back"
	KindTakeOver      = "take_over"
	KindMoved         = "moved"
	KindReboot        = "reboot"
	KindRefused       = "refused"
	KindUsed          = "used_again"
)

// Fact is something that happened.
type Fact interface {
	apply(s *Session, at time.Time) ([]Effect, error)
}

// The facts.
type (
	// MailResult says what became of the invitation mail.
	MailResult struct {
		State MailState
		To    string
		Err   error // with MailFailed
		// Said is what the mail server itself said, with MailFailed.
		Said string
		// Server: the company's server sends it and therefore knew the link.
		Server bool
	}
	// Correct changes the customer's address or name while nobody is connected.
	Correct struct{ Email, Name string }
	// Answer: a host is there.
	Answer struct{ Host Host }
	// Refuse: a computer opened the invitation and cannot or does not go on, and no
	// other one is there. Why is one of RefuseWhy.
	Refuse struct {
		Why  string
		Host Host
	}
	// Used: the server turned a program with the link away, because another
	// computer uses it or because the session is over.
	Used struct{ At time.Time }
	// Choose: the technician, or the console when only one is there, chose it.
	Choose struct {
		Host      Host
		Automatic bool
	}
	// Lost: the chosen host went away before it was activated.
	Lost struct{}
	// CodeShown: a fresh code is on the technician's screen.
	CodeShown struct{}
	// WrongCode: the customer's code did not match.
	WrongCode struct{ Left, SessionLeft int }
	// Activate: both sides confirmed and the server signed.
	Activate struct {
		Host    Host
		Rights  grant.Rights
		Since   time.Time // when it began, if that is known better than now
		Expires time.Time
	}
	// TakeOver: this console asks to go on with an active session whose keys it
	// does not have.
	TakeOver struct {
		Technician string
		Expires    time.Time // of the session: it stays
	}
	// Moved: another console of the same person goes on with the session.
	Moved struct{}
	// Cancel: the technician takes the invitation back.
	Cancel struct{}
	// AskEnd: somebody asked for the end of an active session.
	AskEnd struct{ By Actor }
	// End: the session is over, as the server or the host says.
	End struct {
		By grant.EndedBy
		At time.Time
	}
	// Receipt: the host's signed last word.
	Receipt struct {
		Clean bool
		Lines []string
		Fact  *grant.Signed // grant.Removed, checked by the caller; kept as evidence
	}
	// NoReceipt: the host did not say anything in time.
	NoReceipt struct{}
	// RightsChanged: the customer changed what is allowed.
	RightsChanged struct{ Rights grant.Rights }
	// PutAway: the technician does not want to see the ended session any more.
	PutAway struct{}
	// Lapse: time passed. Now is the believable time, zero the time of Apply.
	// When it is over, so is the invitation or the session; when little of it is
	// left, the technician is told.
	Lapse struct{ Now time.Time }
	// Note: something worth an entry that changes no state.
	Note struct {
		Actor   Actor
		Kind    string
		Text    string
		Details journal.Details
	}
)

// Create makes a new session and its first effects.
func Create(id grant.ID, technician string, c Customer, at, invite time.Time) (Session, []Effect) {
	s := Session{
		ID: id, State: Invited, Mine: true, Technician: technician, Customer: c,
		Created: at, Invite: invite, Mail: Mail{State: MailNone},
	}
	return s, []Effect{Record{Technician, KindCreated, "Session prepared for " + c.Email + "."}}
}

// Apply returns the session after the fact and what is to be done about it. A
// fact that the state does not allow is a fault of kind Conflict and changes
// nothing; one that says what is known already has no effects.
func (s Session) Apply(f Fact, at time.Time) (Session, []Effect, error) {
	next := s
	fx, err := f.apply(&next, at)
	if err != nil {
		return s, nil, err
	}
	return next, fx, nil
}

func conflict(op, message, hint string) error {
	return fault.New(fault.Conflict, "session."+op, message, hint)
}

func (f MailResult) apply(s *Session, at time.Time) ([]Effect, error) {
	if !s.State.Open() && f.State == MailSending {
		return nil, conflict("mail", "The invitation is not needed any more.", "The customer is connected, or the session is over.")
	}
	s.Mail = Mail{State: f.State, At: at, Server: f.Server}
	switch f.State {
	case MailSent:
		if f.Server {
			return []Effect{Detailed{Record{ServerA, KindMailed, "Invitation sent to " + f.To + " by the company's server, which knew its link for that."}, journal.Details{To: f.To}}}, nil
		}
		return []Effect{Detailed{Record{ConsoleA, KindMailed, "Invitation sent to " + f.To + "."}, journal.Details{To: f.To}}}, nil
	case MailCopied:
		return []Effect{Record{Technician, KindLinkCopied, "Link copied."}}, nil
	case MailOpened:
		return []Effect{Detailed{Record{Technician, KindMailed, "Invitation for " + f.To + " opened in the mail program."}, journal.Details{To: f.To}}}, nil
	case MailFailed:
		e := fault.Of(f.Err)
		if e == nil {
			e = fault.New(fault.Internal, "session.mail", "The e-mail could not be sent.", "Copy the link and send it yourself.")
		}
		s.Mail.Message, s.Mail.Hint, s.Mail.Kind, s.Mail.Op, s.Mail.Details = e.Message, e.Hint, string(e.Kind), e.Op, f.Said
		return []Effect{Detailed{Record{ConsoleA, KindMailFailed, "Invitation to " + f.To + " not sent: " + e.Message}, journal.Details{To: f.To, Error: e.Message}}}, nil
	}
	return nil, nil
}

func (f Correct) apply(s *Session, _ time.Time) ([]Effect, error) {
	if !s.State.Open() {
		return nil, conflict("correct", "The address cannot be changed any more.", "Start a new session for somebody else.")
	}
	if f.Email == s.Customer.Email && f.Name == s.Customer.Name {
		return nil, nil
	}
	old := s.Customer.Email
	s.Customer.Email, s.Customer.Name = f.Email, f.Name
	if old == f.Email {
		return []Effect{Record{Technician, KindCorrected, "Name corrected to " + s.Customer.Label() + "."}}, nil
	}
	s.Mail = Mail{State: MailNone}
	return []Effect{Detailed{Record{Technician, KindCorrected, "Address corrected from " + old + " to " + f.Email + "."}, journal.Details{From: old, To: f.Email}}}, nil
}

func (f Answer) apply(s *Session, _ time.Time) ([]Effect, error) {
	if !s.State.Open() {
		return nil, conflict("answer", "This session does not take another computer.", "")
	}
	if s.State == Invited {
		s.State = Answered
	}
	if s.Refused != nil {
		s.Refused = &Refused{Times: s.Refused.Times}
	}
	return []Effect{Detailed{Record{HostA, KindAnswered, "A computer opened the invitation: " + f.Host.words() + "."}, f.Host.details()}}, nil
}

// RefuseWhy are the reasons of Refuse, with what the record says.
var RefuseWhy = map[string]string{
	"fault":       "something went wrong there",
	"running":     "the program runs there already, for another session",
	"earlier":     "an earlier session is not over there",
	"no_display":  "no desktop is running there",
	"wayland":     "its desktop (Wayland) does not let a program show the screen",
	"unsupported": "its system is not supported",
	"declined":    "the customer closed it",
}

func (f Refuse) apply(s *Session, at time.Time) ([]Effect, error) {
	words, ok := RefuseWhy[f.Why]
	if !ok || !s.State.Open() {
		return nil, conflict("refuse", "This session does not take another computer.", "")
	}
	times := 0
	if s.Refused != nil {
		times = s.Refused.Times
	}
	same := s.Refused != nil && s.Refused.Why == f.Why && s.Refused.Computer == f.Host.Computer
	s.State, s.Host = Invited, nil
	if times >= MaxRefused {
		return nil, nil
	}
	if !same {
		times++
	}
	s.Refused = &Refused{Why: f.Why, Computer: f.Host.Computer, At: at, Times: times}
	if same {
		return nil, nil
	}
	return []Effect{Detailed{Record{HostA, KindRefused, "The invitation was opened and not used: " + words + ". Computer: " + f.Host.words() + "."}, f.Host.details()}}, nil
}

func (f Used) apply(s *Session, _ time.Time) ([]Effect, error) {
	if !f.At.After(s.Used) {
		return nil, nil
	}
	s.Used = f.At
	if s.State != Active {
		return nil, nil // nothing is added to a record that is closed
	}
	return []Effect{Record{ServerA, KindUsed, "The link was opened on another computer and refused: it works once."}}, nil
}

func (h Host) words() string {
	s := h.Computer
	if h.OS != "" {
		s += ", " + h.OS
	}
	if h.User != "" {
		s += ", signed in as " + h.User
	}
	return s
}

func (h Host) details() journal.Details {
	return journal.Details{Computer: h.Computer, OS: h.OS, User: h.User}
}

func ended(by grant.EndedBy, active bool) Detailed {
	return Detailed{Record{actorOf(by), KindEnded, endWords(by, active)}, journal.Details{By: string(by)}}
}

func (f Choose) apply(s *Session, _ time.Time) ([]Effect, error) {
	if !s.State.Open() {
		return nil, conflict("choose", "A computer cannot be chosen any more.", "")
	}
	s.State = Pairing
	h := f.Host
	s.Host = &h
	actor, how := Technician, "Chosen: "
	if f.Automatic {
		actor, how = ConsoleA, "Taken because it is the only one: "
	}
	return []Effect{Detailed{Record{actor, KindChosen, how + h.words() + "."}, h.details()}}, nil
}

func (Lost) apply(s *Session, _ time.Time) ([]Effect, error) {
	if !s.State.Open() {
		return nil, nil
	}
	s.State, s.Host = Invited, nil
	return []Effect{Record{HostA, KindDisconnected, "The computer went away before it was connected."}}, nil
}

func (CodeShown) apply(s *Session, _ time.Time) ([]Effect, error) {
	if s.State != Pairing {
		return nil, conflict("code", "There is no computer to show a code for.", "Wait until the customer has started the program.")
	}
	return []Effect{Record{ConsoleA, KindCodeShown, "Security code shown."}}, nil
}

func (f WrongCode) apply(s *Session, _ time.Time) ([]Effect, error) {
	if s.State != Pairing {
		return nil, nil
	}
	return []Effect{Detailed{Record{CustomerA, KindWrongCode, fmt.Sprintf("Wrong code typed; %d tries left for this code, %d for the session.", f.Left, f.SessionLeft)}, journal.Details{Left: f.Left}}}, nil
}

func (f Activate) apply(s *Session, at time.Time) ([]Effect, error) {
	if s.State == Active {
		return nil, nil
	}
	if !s.State.Open() {
		return nil, conflict("activate", "The session is over.", "Start a new session.")
	}
	h := f.Host
	s.State, s.Host, s.Rights, s.WasActive, s.Refused = Active, &h, f.Rights, true, nil
	if s.Activated = at; !f.Since.IsZero() && f.Since.Before(at) {
		s.Activated = f.Since
	}
	s.Expires = f.Expires
	at, again := s.Activated, s.Again
	s.Again = false
	if limit := at.Add(grant.Limit); s.Expires.IsZero() || s.Expires.After(limit) {
		s.Expires = limit // nobody can extend it
	}
	d := h.details()
	d.Rights, d.Allowed = Names(f.Rights), f.Rights
	return []Effect{
		Detailed{Record{CustomerA, KindActivated, map[bool]string{false: "Connected with ", true: "The customer confirmed it with a fresh code; connected again with "}[again] + h.words() + ". Allowed: " + Words(f.Rights) + "."}, d},
		WipeSecret{},
		Connect{},
	}, nil
}

func (Cancel) apply(s *Session, at time.Time) ([]Effect, error) {
	if !s.State.Open() {
		return nil, conflict("cancel", "The invitation cannot be cancelled any more.", "End the session instead.")
	}
	s.State, s.EndedAt, s.EndedBy = Ended, at, grant.ByCancel
	if s.Again { // the session itself goes on
		s.Again, s.Put = false, true
		return []Effect{Record{Technician, KindMoved, "Going on with the session here was given up."}, WipeSecret{}, WipePin{}, Disconnect{}}, nil
	}
	return []Effect{Record{Technician, KindEnded, "Invitation cancelled."}, WipeSecret{}, WipePin{}, Disconnect{}}, nil
}

// Resume makes a session to go on with out of what the server tells of it.
func Resume(id grant.ID, technician string, c Customer, created time.Time) Session {
	return Session{ID: id, State: Ended, Mine: true, Technician: technician, Customer: c, Created: created, Mail: Mail{State: MailNone}}
}

func (f TakeOver) apply(s *Session, _ time.Time) ([]Effect, error) {
	if s.State == Ending || s.State == Removed || s.State == Unconfirmed {
		return nil, conflict("take_over", "The session is over.", "Start a new session.")
	}
	s.State, s.Again, s.Mine, s.Put, s.WasActive = Invited, true, true, false, false
	s.Technician, s.Invite, s.EndedAt, s.EndedBy = f.Technician, f.Expires, time.Time{}, ""
	return []Effect{Record{Technician, KindTakeOver, "Asked to go on with the session at this console."}, Disconnect{}}, nil
}

func (Moved) apply(s *Session, at time.Time) ([]Effect, error) {
	if s.State.Over() {
		return nil, nil
	}
	s.State, s.EndedAt, s.Put, s.Again, s.Mine = Ended, at, true, false, false
	return []Effect{Record{Technician, KindMoved, "Another console of the same technician goes on with the session."}, WipeSecret{}, WipePin{}, Disconnect{}}, nil
}

func (f AskEnd) apply(s *Session, at time.Time) ([]Effect, error) {
	switch {
	case s.State == Ending || s.State.Over():
		return nil, nil
	case s.State != Active:
		return nil, conflict("end", "The session is not active.", "Cancel the invitation instead.")
	}
	s.State, s.EndedAt, s.EndedBy = Ending, at, grant.ByTechnician
	if f.By == LeadA {
		s.EndedBy = grant.ByLead
	}
	return []Effect{Record{f.By, KindEndRequested, "End of the session asked for."}, AwaitRemoval{}}, nil
}

func (f End) apply(s *Session, at time.Time) ([]Effect, error) {
	if s.State.Over() {
		return nil, nil
	}
	if f.At.IsZero() {
		f.At = at
	}
	was := s.State
	if was != Ending {
		s.EndedAt, s.EndedBy = f.At, f.By
	}
	if !s.WasActive {
		s.State = Ended
		return []Effect{ended(f.By, false), WipeSecret{}, WipePin{}, Disconnect{}}, nil
	}
	s.State = Ending
	if was == Ending {
		return nil, nil
	}
	return []Effect{ended(f.By, true), WipeSecret{}, AwaitRemoval{}}, nil
}

func (f Receipt) apply(s *Session, at time.Time) ([]Effect, error) {
	if s.State == Removed && (s.Clean || !f.Clean) { // what was left may be gone later
		return nil, nil
	}
	if !s.WasActive {
		return nil, conflict("receipt", "This session was never active.", "")
	}
	fx := []Effect{}
	if s.EndedAt.IsZero() { // the receipt overtook the end
		s.EndedAt, s.EndedBy = at, grant.ByCustomer
		fx = append(fx, ended(grant.ByCustomer, true))
	}
	s.State, s.Clean, s.Report, s.Receipt = Removed, f.Clean, f.Lines, f.Fact
	text := "The host removed itself; nothing is left on the computer."
	if !f.Clean {
		text = "The host could not remove everything: " + strings.Join(f.Lines, "; ")
	}
	clean := f.Clean
	return append(fx, Detailed{Record{HostA, KindRemoved, text}, journal.Details{Clean: &clean, Lines: f.Lines}}, WipePin{}, WipeSecret{}, Disconnect{}), nil
}

func (NoReceipt) apply(s *Session, _ time.Time) ([]Effect, error) {
	if s.State != Ending {
		return nil, nil
	}
	s.State = Unconfirmed
	// The pin stays until the receipt, so that a late one can be checked; without
	// one until the host will not come any more (store.Unfinished).
	return []Effect{Record{ConsoleA, KindUnconfirmed, "The computer did not confirm that the host is gone."}, Disconnect{}}, nil
}

func (f RightsChanged) apply(s *Session, _ time.Time) ([]Effect, error) {
	if s.State != Active || s.Rights == f.Rights {
		return nil, nil
	}
	s.Rights = f.Rights
	return []Effect{Detailed{Record{CustomerA, KindRights, "Allowed from now on: " + Words(f.Rights) + "."}, journal.Details{Rights: Names(f.Rights), Allowed: f.Rights}}}, nil
}

func (PutAway) apply(s *Session, _ time.Time) ([]Effect, error) {
	if !s.State.Over() {
		return nil, conflict("put_away", "The session is not over.", "End it first.")
	}
	s.Put = true
	return nil, nil
}

// WarnAt are the minutes before the end of a session at which the technician
// is told, from the last to the first.
var WarnAt = []int{10, 60}

// Soon returns which of WarnAt applies when left is left, 0 for none.
func Soon(left time.Duration) int {
	for _, m := range WarnAt {
		if left > 0 && left <= time.Duration(m)*time.Minute {
			return m
		}
	}
	return 0
}

func (f Lapse) apply(s *Session, at time.Time) ([]Effect, error) {
	if f.Now.IsZero() {
		f.Now = at
	}
	switch {
	case s.State.Open() && !f.Now.Before(s.Invite):
		return End{By: grant.ByLapse, At: s.Invite}.apply(s, at)
	case s.State == Active && !f.Now.Before(s.Expires):
		return End{By: grant.ByExpiry, At: s.Expires}.apply(s, at)
	case s.State == Active:
		if m := Soon(s.Expires.Sub(f.Now)); m > 0 && (s.Warned == 0 || m < s.Warned) {
			s.Warned = m
			return []Effect{WarnTime{m}}, nil
		}
	}
	return nil, nil
}

func (f Note) apply(_ *Session, _ time.Time) ([]Effect, error) {
	return []Effect{Detailed{Record{f.Actor, f.Kind, f.Text}, f.Details}}, nil
}

func actorOf(by grant.EndedBy) Actor {
	switch by {
	case grant.ByTechnician, grant.ByCancel:
		return Technician
	case grant.ByLead:
		return LeadA
	case grant.ByCustomer:
		return CustomerA
	}
	return ServerA
}

func endWords(by grant.EndedBy, active bool) string {
	switch by {
	case grant.ByTechnician:
		return "Session ended by the technician."
	case grant.ByLead:
		return "Session ended by a lead."
	case grant.ByCustomer:
		if active {
			return "Session ended by the customer."
		}
		return "Invitation refused by the customer."
	case grant.ByExpiry:
		return "Session ended: its 24 hours are over."
	case grant.ByLapse:
		return "Invitation lapsed: nobody was connected in time."
	case grant.ByLock:
		return "Session locked: too many wrong codes."
	case grant.ByCancel:
		return "Invitation cancelled."
	case grant.ByServer:
		return "Session ended: the server does not know it any more."
	}
	return "Session ended."
}

// Names returns the rights as the words the page uses, in a fixed order.
func Names(r grant.Rights) []string {
	out := []string{}
	for _, n := range names {
		if r.Has(n.r) {
			out = append(out, n.name)
		}
	}
	return out
}

// Words returns the rights as a phrase for the journal.
func Words(r grant.Rights) string {
	out := []string{}
	for _, n := range names {
		if r.Has(n.r) {
			out = append(out, n.words)
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

var names = []struct {
	r           grant.Rights
	name, words string
}{
	{grant.View, "view", "see the screen"},
	{grant.Control, "control", "mouse and keyboard"},
	{grant.Clipboard, "clipboard", "clipboard"},
	{grant.Files, "files", "files"},
	{grant.Dashboard, "dashboard", "repair tools"},
	{grant.Terminal, "terminal", "command line"},
}
