package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"daypass/backend/fault"
	"daypass/backend/grant"
)

// MaxControl is the largest control message, in bytes: kind and body.
const MaxControl = 32 << 10

// Bounds of what control messages carry.
const (
	MaxDisplays    = 16      // displays of one host
	MaxSide        = 16384   // pixels of a display's side
	MaxText        = 256     // bytes of a name or a reason
	MaxClipboard   = 1 << 20 // bytes of clipboard text over all parts
	MaxClipPart    = 5 << 10 // bytes of one part; JSON may take six for one
	MaxReportLines = 64      // lines of a removal report
)

// Kind is the first byte of a control message; the rest is its body as one
// strict JSON object.
type Kind byte

// The control messages. C: sent by the console, H: by the host, B: by both.
// Values are part of the protocol and never change meaning.
const (
	KindHostHello Kind = 1  // H, first message: HostHello
	KindOpen      Kind = 2  // C: Open, begin Remote Control
	KindOpened    Kind = 3  // H: Opened, it has begun; or Refused
	KindClose     Kind = 4  // C: Close, Remote Control ends, the session does not
	KindDisplays  Kind = 5  // H: Displays, the list changed
	KindDisplay   Kind = 6  // C: Display, show another one
	KindRights    Kind = 7  // H: RightsNow, the customer changed what is allowed
	KindPaused    Kind = 8  // H: Paused, by Stop or because the bar is hidden; or lifted
	KindClipGet   Kind = 9  // C: ClipGet, ask for the host's clipboard text
	KindClip      Kind = 10 // B: Clip, a part of clipboard text
	KindRefused   Kind = 11 // H: Refused, what was asked is not done, and why
	KindEnd       Kind = 12 // B: End, a signed grant.Ended
	KindEnding    Kind = 13 // H: Ending, removal goes on; Removed follows
	KindRemoved   Kind = 14 // H: Removed, signed, with its report
	KindBlocked   Kind = 15 // H: Blocked, the system does not let input or capture through; or lifted
	// 16 was a line of "what was done"; the record tells it now.
	KindConsoleHi Kind = 17 // C, first message: ConsoleHello
	KindChord     Kind = 18 // C: Chord, a key combination by name that needs the system's help (Ctrl-Alt-Del)
	KindReceipt   Kind = 19 // B: Receipt, the host's digest of the customer's receipt; the console answers with its own signature over it
	KindAskRight  Kind = 30 // C: AskRight, ask the customer to allow rights that are off; RightsNow or Refused answers

	KindStanding   Kind = 20 // H: Standing, what happens after a restart, when it changed
	KindReboot     Kind = 21 // C: Reboot, restart the computer
	KindRebooting  Kind = 22 // H: Rebooting, what becomes of it
	KindRecord     Kind = 40 // B: Record, entries of the session's record: from the console new ones, from the host those asked for
	KindRecordHave Kind = 41 // H: RecordHave, how far the host's copy goes, with its signatures
	KindRecordFact Kind = 42 // H: RecordFact, something that the host says for the record
	KindRecordAsk  Kind = 43 // C: RecordAsk, entries of the host's copy
)

// HostHello says who the host is and what it can show.
type HostHello struct {
	Version   int           `json:"version"`
	Program   string        `json:"program"` // version of the host program
	Computer  string        `json:"computer"`
	OS        string        `json:"os"`
	User      string        `json:"user"`
	TimeZone  string        `json:"time_zone"`
	Rights    grant.Rights  `json:"rights"`            // what the customer allows
	Offered   grant.Rights  `json:"offered,omitempty"` // what the customer could allow
	Displays  []DisplayInfo `json:"displays"`
	Paused    string        `json:"paused"`     // "" or why, as in Paused
	ExpiresMS int64         `json:"expires_ms"` // milliseconds left by the host's clock
	Standing  Standing      `json:"standing"`
}

// Standing is what the host can say of sign-ins and restarts.
type Standing struct {
	After     string `json:"after"`      // what brings it back after a restart: "boot", "login" (somebody signs in) or "" (nothing)
	Reboot    bool   `json:"reboot"`     // it can be asked to restart the computer
	NoDesktop bool   `json:"no_desktop"` // nobody is signed in to a desktop that can be shown
}

// Reboot asks the host to restart the computer.
type Reboot struct{}

// What becomes of a Reboot.
const (
	RebootAsked   = "asked"   // the customer is told and may refuse, for Left seconds
	RebootNow     = "now"     // it restarts now
	RebootRefused = "refused" // by the customer
	RebootFailed  = "failed"  // by the system; Message and Hint say why
)

// Rebooting tells what becomes of a Reboot.
type Rebooting struct {
	State   string `json:"state"`
	Left    int    `json:"left,omitempty"` // seconds, 0…300
	Message string `json:"message,omitempty"`
	Hint    string `json:"hint,omitempty"`
}

// ConsoleHello says which protocol and program the console is.
type ConsoleHello struct {
	Version int    `json:"version"`
	Program string `json:"program"`
}

// Receipt carries a signed grant.Receipt: by the host over the receipt it gives
// the customer, then by the console over the same bytes.
type Receipt struct {
	Seal grant.Signed `json:"seal"`
}

// DisplayInfo is one display of the host in physical pixels.
type DisplayInfo struct {
	ID      uint32 `json:"id"`
	Name    string `json:"name"`
	X       int    `json:"x"` // position on the host's desktop
	Y       int    `json:"y"`
	Width   int    `json:"width"` // 1..MaxSide
	Height  int    `json:"height"`
	Primary bool   `json:"primary"`
}

// Open asks to begin Remote Control. Codecs names the motion coders that the
// console decodes, best first; "jpeg" is the floor that every version has.
type Open struct {
	ViewOnly bool     `json:"view_only"`
	Display  uint32   `json:"display"` // 0: the primary one
	Codecs   []string `json:"codecs"`
}

// Opened says that Remote Control runs, on which display and with which coder.
type Opened struct {
	Display uint32 `json:"display"`
	Codec   string `json:"codec"`
}

// Close ends Remote Control. The session goes on.
type Close struct{}

// Displays replaces the list of displays.
type Displays struct {
	Displays []DisplayInfo `json:"displays"`
}

// Display asks for another display.
type Display struct {
	Display uint32 `json:"display"`
}

// RightsNow is what the customer allows from now on. What is Offered and not in
// Rights is switched off and can be asked for. Leases hold the rights that have
// a limit.
type RightsNow struct {
	Rights  grant.Rights `json:"rights"`
	Offered grant.Rights `json:"offered,omitempty"`
	Leases  []Lease      `json:"leases,omitempty"`
}

// Paused says that capture and input are stopped: By is "customer" (Stop),
// "bar" (the indicator is not visible), "locked" (screen locked) or "" (lifted).
type Paused struct {
	By string `json:"by"`
}

// ClipGet asks for the host's clipboard text; ID comes back in Clip.
type ClipGet struct {
	ID uint32 `json:"id"`
}

// Clip carries clipboard text in parts of at most MaxClipPart bytes, together
// at most MaxClipboard. Parts of one ID come in order; a new ID discards an
// unfinished one. From the console it sets the host's clipboard, from the host
// it answers ClipGet. Text is cut between characters, so each part is UTF-8.
type Clip struct {
	ID   uint32 `json:"id"`
	Part int    `json:"part"` // from 0
	Last bool   `json:"last"`
	Text string `json:"text"`
}

// Refused says that what was asked is not done.
type Refused struct {
	Asked   Kind       `json:"asked"`
	ID      uint32     `json:"id"`
	Kind    fault.Kind `json:"kind"`
	Message string     `json:"message"` // for the technician, plain
	Hint    string     `json:"hint"`
}

// End carries a signed grant.Ended. Either side may send it; the other checks
// the signature against its pin.
type End struct {
	Ended grant.Signed `json:"ended"`
}

// Ending says that the host has begun to remove itself.
type Ending struct {
	By grant.EndedBy `json:"by"`
}

// Removed is the host's last word: a signed grant.Removed and the report whose
// hash it carries.
type Removed struct {
	Removed grant.Signed `json:"removed"`
	Lines   []string     `json:"lines"`
}

// Blocked says that the system does not let input or capture through, for
// example on a secure desktop. Message "" lifts it.
type Blocked struct {
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// Chord asks for a key combination that needs the system's help.
type Chord struct {
	Name string `json:"name"` // "ctrl-alt-del"
}

// Control is the body of a control message; each has one Kind.
type Control interface {
	kind() Kind
	check() error
}

func (*Standing) kind() Kind     { return KindStanding }
func (*Reboot) kind() Kind       { return KindReboot }
func (*Rebooting) kind() Kind    { return KindRebooting }
func (*HostHello) kind() Kind    { return KindHostHello }
func (*ConsoleHello) kind() Kind { return KindConsoleHi }
func (*Open) kind() Kind         { return KindOpen }
func (*Opened) kind() Kind       { return KindOpened }
func (*Close) kind() Kind        { return KindClose }
func (*Displays) kind() Kind     { return KindDisplays }
func (*Display) kind() Kind      { return KindDisplay }
func (*RightsNow) kind() Kind    { return KindRights }
func (*Paused) kind() Kind       { return KindPaused }
func (*ClipGet) kind() Kind      { return KindClipGet }
func (*Clip) kind() Kind         { return KindClip }
func (*Refused) kind() Kind      { return KindRefused }
func (*End) kind() Kind          { return KindEnd }
func (*Ending) kind() Kind       { return KindEnding }
func (*Removed) kind() Kind      { return KindRemoved }
func (*Blocked) kind() Kind      { return KindBlocked }
func (*Chord) kind() Kind        { return KindChord }
func (*Receipt) kind() Kind      { return KindReceipt }

func blank(k Kind) Control {
	switch k {
	case KindHostHello:
		return &HostHello{}
	case KindConsoleHi:
		return &ConsoleHello{}
	case KindOpen:
		return &Open{}
	case KindOpened:
		return &Opened{}
	case KindClose:
		return &Close{}
	case KindDisplays:
		return &Displays{}
	case KindDisplay:
		return &Display{}
	case KindRights:
		return &RightsNow{}
	case KindPaused:
		return &Paused{}
	case KindClipGet:
		return &ClipGet{}
	case KindClip:
		return &Clip{}
	case KindRefused:
		return &Refused{}
	case KindEnd:
		return &End{}
	case KindEnding:
		return &Ending{}
	case KindRemoved:
		return &Removed{}
	case KindBlocked:
		return &Blocked{}
	case KindChord:
		return &Chord{}
	case KindReceipt:
		return &Receipt{}
	case KindAskRight:
		return &AskRight{}
	case KindStanding:
		return &Standing{}
	case KindReboot:
		return &Reboot{}
	case KindRebooting:
		return &Rebooting{}
	case KindRecord:
		return &Record{}
	case KindRecordHave:
		return &RecordHave{}
	case KindRecordFact:
		return &RecordFact{}
	case KindRecordAsk:
		return &RecordAsk{}
	}
	return nil
}

func text(name, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%s longer than %d bytes", name, limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8", name)
	}
	return nil
}

func texts(limit int, pairs ...string) error {
	for i := 0; i+1 < len(pairs); i += 2 {
		if err := text(pairs[i], pairs[i+1], limit); err != nil {
			return err
		}
	}
	return nil
}

func rights(r grant.Rights) error {
	if r&^grant.All != 0 {
		return fmt.Errorf("unknown right in %#x", uint32(r))
	}
	return nil
}

func displays(list []DisplayInfo) error {
	if len(list) > MaxDisplays {
		return fmt.Errorf("more than %d displays", MaxDisplays)
	}
	for _, d := range list {
		if err := text("display name", d.Name, MaxText); err != nil {
			return err
		}
		if d.Width < 1 || d.Width > MaxSide || d.Height < 1 || d.Height > MaxSide ||
			d.X < -1<<20 || d.X > 1<<20 || d.Y < -1<<20 || d.Y > 1<<20 {
			return fmt.Errorf("display of %d×%d at %d,%d", d.Width, d.Height, d.X, d.Y)
		}
	}
	return nil
}

func signed(s grant.Signed) error {
	if len(s.Body) > grant.MaxSigned || len(s.Sig) != 64 {
		return fmt.Errorf("signed fact of %d+%d bytes", len(s.Body), len(s.Sig))
	}
	return nil
}

func (m *HostHello) check() error {
	if err := texts(MaxText, "program", m.Program, "computer", m.Computer, "system", m.OS, "user", m.User, "time zone", m.TimeZone); err != nil {
		return err
	}
	if err := pausedBy(m.Paused); err != nil {
		return err
	}
	if m.ExpiresMS < 0 || m.ExpiresMS > grant.Limit.Milliseconds() {
		return fmt.Errorf("%d ms left", m.ExpiresMS)
	}
	if err := rights(m.Rights); err != nil {
		return err
	}
	if err := m.Standing.check(); err != nil {
		return err
	}
	return displays(m.Displays)
}

func (m *Standing) check() error {
	switch m.After {
	case "", "boot", "login":
		return nil
	}
	return fmt.Errorf("back after %.20q", m.After)
}

func (m *Reboot) check() error { return nil }

func (m *Rebooting) check() error {
	switch m.State {
	case RebootAsked, RebootNow, RebootRefused, RebootFailed:
	default:
		return fmt.Errorf("restart is %.20q", m.State)
	}
	if m.Left < 0 || m.Left > 300 {
		return fmt.Errorf("%d seconds left", m.Left)
	}
	return texts(2*MaxText, "message", m.Message, "hint", m.Hint)
}

func (m *ConsoleHello) check() error { return text("program", m.Program, MaxText) }

func (m *Open) check() error {
	if len(m.Codecs) > 8 {
		return fmt.Errorf("%d codecs", len(m.Codecs))
	}
	for _, c := range m.Codecs {
		if err := text("codec", c, 16); err != nil {
			return err
		}
	}
	return nil
}
func (m *Opened) check() error   { return text("codec", m.Codec, 16) }
func (m *Close) check() error    { return nil }
func (m *Receipt) check() error  { return nil }
func (m *Displays) check() error { return displays(m.Displays) }
func (m *Display) check() error  { return nil }
func (m *RightsNow) check() error {
	if err := rights(m.Rights | m.Offered); err != nil {
		return err
	}
	return leases(m.Rights, m.Leases)
}
func (m *Paused) check() error  { return pausedBy(m.By) }
func (m *ClipGet) check() error { return nil }

func pausedBy(by string) error {
	switch by {
	case "", "customer", "bar", "locked":
		return nil
	}
	return fmt.Errorf("paused by %.20q", by)
}

func (m *Clip) check() error {
	if m.Part < 0 || m.Part > MaxClipboard/1024 {
		return fmt.Errorf("part %d of a clipboard text", m.Part)
	}
	return text("clipboard text", m.Text, MaxClipPart)
}

func (m *Refused) check() error {
	return texts(2*MaxText, "kind", string(m.Kind), "message", m.Message, "hint", m.Hint)
}
func (m *End) check() error    { return signed(m.Ended) }
func (m *Ending) check() error { return text("by", string(m.By), 32) }
func (m *Removed) check() error {
	if len(m.Lines) > MaxReportLines {
		return fmt.Errorf("report of %d lines", len(m.Lines))
	}
	for _, l := range m.Lines {
		if err := text("line of the report", l, MaxText); err != nil {
			return err
		}
	}
	return signed(m.Removed)
}

func (m *Blocked) check() error {
	return texts(2*MaxText, "message", m.Message, "hint", m.Hint)
}
func (m *Chord) check() error { return text("chord", m.Name, 32) }

// AppendControl appends the message to b and returns it. A message that breaks
// its own bounds is an error of the caller and nothing is appended.
func AppendControl(b []byte, m Control) ([]byte, error) {
	if err := m.check(); err != nil {
		return b, fmt.Errorf("wire: control %d: %w", m.kind(), err)
	}
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return b, fmt.Errorf("wire: control %d: %w", m.kind(), err)
	}
	body := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if 1+len(body) > MaxControl {
		return b, fmt.Errorf("wire: control %d: %d bytes", m.kind(), len(body))
	}
	return append(append(b, byte(m.kind())), body...), nil
}

// ParseControl reads one control message. Everything that is not exactly a
// known message within its bounds is a fault of kind Hostile. The result does
// not keep b.
func ParseControl(b []byte) (Control, error) {
	if len(b) < 3 || len(b) > MaxControl {
		return nil, hostile(fmt.Errorf("control message of %d bytes", len(b)))
	}
	m := blank(Kind(b[0]))
	if m == nil {
		return nil, hostile(fmt.Errorf("control message of kind %d", b[0]))
	}
	if !utf8.Valid(b[1:]) {
		return nil, hostile(fmt.Errorf("control message %d is not UTF-8", b[0]))
	}
	d := json.NewDecoder(bytes.NewReader(b[1:]))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, hostile(fmt.Errorf("control message %d: %w", b[0], err))
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, hostile(fmt.Errorf("control message %d: data behind it", b[0]))
	}
	if err := m.check(); err != nil {
		return nil, hostile(fmt.Errorf("control message %d: %w", b[0], err))
	}
	return m, nil
}

func hostile(err error) error {
	return fault.Wrap(err, fault.Hostile, "wire.control", "The other side sent something that this version does not understand.", "Update both programs, then connect again.")
}

// SplitClip cuts clipboard text into messages with the given id, between
// characters. Invalid UTF-8 is replaced by U+FFFD. Text over MaxClipboard is a
// fault of kind Invalid.
func SplitClip(id uint32, s string) ([]*Clip, error) {
	if len(s) > MaxClipboard {
		return nil, fault.New(fault.Invalid, "clipboard.split", "The text in the clipboard is larger than 1 MB.", "Copy less text, or send it as a file.")
	}
	s = string(bytes.ToValidUTF8([]byte(s), []byte("�")))
	var out []*Clip
	for {
		n := min(len(s), MaxClipPart)
		for n < len(s) && n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		out = append(out, &Clip{ID: id, Part: len(out), Text: s[:n], Last: n == len(s)})
		if s = s[n:]; s == "" {
			return out, nil
		}
	}
}

// ClipJoin joins the parts of a clipboard text again. The zero value is ready;
// one direction, one ClipJoin, one goroutine.
type ClipJoin struct {
	id   uint32
	next int
	buf  []byte
}

// Add takes the next part. done is true when text is complete. Parts out of
// order or beyond MaxClipboard are Hostile; part 0 always begins anew.
func (j *ClipJoin) Add(c *Clip) (text string, done bool, err error) {
	if c.Part == 0 {
		j.id, j.next, j.buf = c.ID, 0, j.buf[:0]
	}
	if c.ID != j.id || c.Part != j.next || len(j.buf)+len(c.Text) > MaxClipboard {
		j.next, j.buf = -1, nil
		return "", false, hostile(fmt.Errorf("part %d of clipboard text %d", c.Part, c.ID))
	}
	j.buf = append(j.buf, c.Text...)
	j.next++
	if !c.Last {
		return "", false, nil
	}
	text = string(j.buf)
	j.next, j.buf = -1, nil
	return text, true, nil
}
