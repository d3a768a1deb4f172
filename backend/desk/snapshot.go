package desk

import (
	"errors"

	"daypass/backend/fault"
)

// Fault is an error in the shape that crosses to the page.
type Fault struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	Op      string `json:"op"`
	Details string `json:"details"` // for the folded part; never shown at once
}

// FaultOf returns err in the page's shape, nil for nil. Details carry the chain
// of causes; for a limit they carry JSON with the holders (see LimitDetails).
func FaultOf(err error) *Fault {
	if err == nil {
		return nil
	}
	e := fault.Of(err)
	f := &Fault{Kind: string(e.Kind), Message: e.Message, Hint: e.Hint, Op: e.Op}
	var d interface{ Details() string }
	switch {
	case errors.As(err, &d):
		f.Details = d.Details()
	case e.Err != nil:
		f.Details = e.Err.Error()
	}
	return f
}

// Phases of the console.
const (
	PhaseStarting = "starting"
	PhaseWelcome  = "welcome" // no server chosen yet
	PhaseUnlock   = "unlock"  // the vault needs the person
	PhaseSignIn   = "signin"
	PhaseEnrol    = "enrol" // signed in; a second step must be set up before anything else
	PhaseReady    = "ready"
	PhaseFatal    = "fatal"
)

// Snapshot is everything the page shows, at one moment. The page computes no
// state. All times are unix milliseconds.
type Snapshot struct {
	Rev     int64    `json:"rev"`
	Phase   string   `json:"phase"`
	Fatal   *Fault   `json:"fatal,omitempty"`
	Version string   `json:"version"`
	Lab     bool     `json:"lab"`
	Server  Server   `json:"server"`
	Vault   Vault    `json:"vault"`
	Profile *Profile `json:"profile,omitempty"`
	// SignedOut says why the person has to sign in again, where it was not their
	// own doing.
	SignedOut *SignedOut `json:"signedOut,omitempty"`
	Offered   []string   `json:"offered"` // rights that this version implements
	Limits    Limits     `json:"limits"`
	Sessions  []Session  `json:"sessions"`
	Notices   []Notice   `json:"notices"`
	Mail      MailInfo   `json:"mail"`
	Settings  Settings   `json:"settings"`
	UI        *UI        `json:"ui,omitempty"`
	// Clock is to be added to this computer's time, in ms, to get the time by
	// which sessions end; 0 where its clock is right.
	Clock int64 `json:"clock,omitempty"`
}

// Server is the signaling server as the page shows it.
type Server struct {
	Kind         string       `json:"kind"` // "embedded", "remote" or ""
	URL          string       `json:"url"`
	Online       bool         `json:"online"`
	OfflineSince int64        `json:"offlineSince,omitempty"`
	LAN          bool         `json:"lan"`
	Insecure     bool         `json:"insecure"`
	LANAddresses []LANAddress `json:"lanAddresses"`
	LANAddress   string       `json:"lanAddress,omitempty"`
}

// LANAddress is an address under which others on the network may reach us.
type LANAddress struct {
	Address string `json:"address"`
	Name    string `json:"name"` // of the network interface
}

// Vault says where secrets lie.
type Vault struct {
	Kind string `json:"kind"` // "keyring", "passphrase", "memory" or ""
	Note *Fault `json:"note,omitempty"`
	// Sealed: a passphrase is set already and is asked for; otherwise one may
	// be chosen.
	Sealed bool `json:"sealed"`
}

// Profile is who is signed in. Rights are names as session.Names writes them.
type Profile struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	Email         string    `json:"email"`
	Company       string    `json:"company"`
	Roles         []string  `json:"roles"`
	Rights        []string  `json:"rights"`        // what new sessions get
	CompanyRights []string  `json:"companyRights"` // the most that anybody of the company gets
	TOTP          bool      `json:"totp"`
	MustTOTP      bool      `json:"mustTotp"`
	Recovery      int       `json:"recovery"` // recovery codes left
	Local         bool      `json:"local"`
	Mail          string    `json:"mail"` // who sends invitations: "console" or "server"
	Contacts      []Contact `json:"contacts"`
}

// Contact is whom to ask: an admin or a lead of the company.
type Contact struct {
	Name string `json:"name"`
	Role string `json:"role"` // "admin" or "lead"
}

// SignedOut is a sign-in that ended from elsewhere.
type SignedOut struct {
	Fault Fault  `json:"fault"`
	Email string `json:"email"`
}

// Usage is how many places are taken.
type Usage struct {
	Used int `json:"used"`
	Max  int `json:"max"`
}

// Limits are the places.
type Limits struct {
	Mine    Usage `json:"mine"`
	Company Usage `json:"company"`
}

// Notice is something the person should know that no page owns.
type Notice struct {
	ID    string `json:"id"`
	Level string `json:"level"` // "info", "warn" or "error"
	Fault Fault  `json:"fault"`
}

// MailInfo says whether and how mail can be sent from here.
type MailInfo struct {
	Configured bool   `json:"configured"`
	From       string `json:"from,omitempty"`
	// ByServer: the company's policy is that its server sends invitations; it
	// then knows their links, and only the spoken code protects from it.
	ByServer bool `json:"byServer,omitempty"`
	// Testing is the stage of a test message that is on its way: "connecting",
	// "signing_in" or "handing_in".
	Testing string `json:"testing,omitempty"`
}

// Settings are the console's own.
type Settings struct {
	Appearance string `json:"appearance"` // "system", "light" or "dark"
	Language   string `json:"language"`   // "en" or "de"
}

// UI is what the page is asked to show now (lab).
type UI struct {
	Open *UIOpen `json:"open,omitempty"`
}

// UIOpen asks for one session's Remote Control.
type UIOpen struct {
	Session string `json:"session"`
	Tab     string `json:"tab"`
	Mode    string `json:"mode"`
	Bare    bool   `json:"bare"`
}

// Session is one session as the page shows it.
type Session struct {
	ID              string        `json:"id"`
	Label           string        `json:"label"`
	Mine            bool          `json:"mine"`
	Elsewhere       bool          `json:"elsewhere"` // of the same person, at another console
	Again           bool          `json:"again"`     // to go on with here: the customer confirms by a fresh code
	Technician      string        `json:"technician"`
	Customer        Customer      `json:"customer"`
	State           string        `json:"state"`
	Presence        string        `json:"presence"` // "online", "offline", "reconnecting" or "unknown"
	PresenceSince   int64         `json:"presenceSince,omitempty"`
	CreatedAt       int64         `json:"createdAt"`
	InviteExpiresAt int64         `json:"inviteExpiresAt"`
	ActivatedAt     int64         `json:"activatedAt,omitempty"`
	ExpiresAt       int64         `json:"expiresAt,omitempty"`
	Soon            int           `json:"soon,omitempty"` // active and ends in less than so many minutes: 60 or 10
	EndedAt         int64         `json:"endedAt,omitempty"`
	EndedBy         string        `json:"endedBy,omitempty"`
	Link            string        `json:"link,omitempty"`
	Mail            MailState     `json:"mail"`
	Waiting         []Waiting     `json:"waiting"`
	Refused         *Refused      `json:"refused,omitempty"` // no computer is there, and the last one that was does not go on
	Code            *Code         `json:"code,omitempty"`
	Host            *Host         `json:"host,omitempty"`
	Rights          []string      `json:"rights"`
	Allowed         []RightState  `json:"allowed"` // what the customer could allow, as it stands
	LinkState       string        `json:"link_state,omitempty"`
	Path            string        `json:"path,omitempty"`
	RTTMs           float64       `json:"rttMs,omitempty"`
	Fingerprints    *Fingerprints `json:"fingerprints,omitempty"`
	Remote          *Remote       `json:"remote,omitempty"`
	Standing        *Standing     `json:"standing,omitempty"`
	Reboot          *Reboot       `json:"reboot,omitempty"`
	Removal         *Removal      `json:"removal,omitempty"`
	Fault           *Fault        `json:"fault,omitempty"`
	Verbs           Verbs         `json:"verbs"`
}

// Customer is whom a session is for.
type Customer struct {
	Email    string `json:"email"`
	Name     string `json:"name"`
	Subject  string `json:"subject"`
	Language string `json:"language"`
	Note     string `json:"note,omitempty"`
}

// MailState says what became of the invitation mail.
type MailState struct {
	State string `json:"state"`
	At    int64  `json:"at,omitempty"`
	Fault *Fault `json:"fault,omitempty"`
	// Server: the company's server sent it and knew its link for that.
	Server bool `json:"server,omitempty"`
}

// Waiting is a computer that opened the invitation.
type Waiting struct {
	Instance string `json:"instance"`
	Computer string `json:"computer"`
	OS       string `json:"os"`
	User     string `json:"user"`
	TimeZone string `json:"timeZone"`
	Since    int64  `json:"since"`
	Chosen   bool   `json:"chosen"`
}

// Refused is why a computer does not go on with the invitation.
type Refused struct {
	Why      string `json:"why"` // one of session.RefuseWhy
	Computer string `json:"computer"`
	At       int64  `json:"at"`
}

// Code is the security code on the technician's screen.
type Code struct {
	Digits           string `json:"digits"` // 8; empty unless shown
	ExpiresAt        int64  `json:"expiresAt"`
	TriesLeft        int    `json:"triesLeft"`
	SessionTriesLeft int    `json:"sessionTriesLeft"`
	State            string `json:"state"` // "shown", "wrong", "expired" or "locked"
}

// Host is the activated computer.
type Host struct {
	Computer string `json:"computer"`
	OS       string `json:"os"`
	User     string `json:"user"`
	TimeZone string `json:"timeZone"`
	Version  string `json:"version"`
}

// Fingerprints are those of both devices, for people to compare.
type Fingerprints struct {
	Ours   string `json:"ours"`
	Theirs string `json:"theirs"`
}

// Remote is the state of Remote Control.
type Remote struct {
	Open          bool      `json:"open"`
	ViewOnly      bool      `json:"viewOnly"`
	Display       uint32    `json:"display"`
	Displays      []Display `json:"displays"`
	Blocked       *Fault    `json:"blocked,omitempty"`
	Paused        string    `json:"paused,omitempty"`
	ClipboardText string    `json:"clipboardText,omitempty"` // start of what was fetched last
}

// Display is one display of the host.
type Display struct {
	ID      uint32 `json:"id"`
	Name    string `json:"name"`
	Width   int    `json:"width"`
	Height  int    `json:"height"`
	Primary bool   `json:"primary"`
}

// Removal is what is known of the host's removal.
type Removal struct {
	State string   `json:"state"` // "pending", "clean", "unclean" or "unconfirmed"
	Lines []string `json:"lines"`
}

// Standing is what is known of sign-ins and restarts there.
type Standing struct {
	After     string `json:"after"`     // what brings it back after a restart: "boot", "login" or ""
	NoDesktop bool   `json:"noDesktop"` // nobody is signed in to a desktop that can be shown
}

// Reboot is a restart that was asked for.
type Reboot struct {
	State string `json:"state"`           // "asked" while the customer may refuse, "restarting" until it is back
	Until int64  `json:"until,omitempty"` // of "asked"
	Since int64  `json:"since"`
}

// Verbs are what the technician can do with a session now.
type Verbs struct {
	Cancel   bool `json:"cancel"`
	Resend   bool `json:"resend"`
	Correct  bool `json:"correct"`
	ShowCode bool `json:"showCode"`
	NewCode  bool `json:"newCode"`
	Remote   bool `json:"remote"`
	End      bool `json:"end"`
	PutAway  bool `json:"putAway"`
	Reboot   bool `json:"reboot"`
	Again    bool `json:"again"` // a new session with the same customer
}
