// Package console is what the page may ask of the program: bound services, one
// type a page, with small, strict and bounded arguments. A page never names a
// path or a command here. It must not know Wails: the window is behind Window.
package console

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"daypass/backend/desk"
	"daypass/backend/fault"
	"daypass/backend/mail"
)

// Window is the native window.
type Window interface {
	Fullscreen(on bool)
	Quit()
	SetClipboardText(string) error
	// Confirm asks the person a question natively and reports the answer; yes
	// names what will be done.
	Confirm(title, question, yes string) bool
	// SaveFile asks the person natively where to save a file, for which name is
	// the proposal; "" if they chose none.
	SaveFile(title, name string) (string, error)
	// OpenFile asks the person natively for a file that matches pattern; "" if
	// they chose none.
	OpenFile(title, pattern string) (string, error)
}

// FaultJSON is the shape of every error that reaches the page, as JSON text.
type FaultJSON = desk.Fault

// crossed turns an error into the text that crosses to the page.
func crossed(err error) error {
	if err == nil {
		return nil
	}
	b, jerr := json.Marshal(desk.FaultOf(err))
	if jerr != nil {
		return jerr
	}
	return errors.New(string(b))
}

// bounded refuses arguments that no page of ours sends.
func bounded(limit int, args ...string) error {
	for _, a := range args {
		if len(a) > limit || !utf8.ValidString(a) {
			return crossed(fault.New(fault.Invalid, "console", "What was entered is too long.", "Shorten it."))
		}
	}
	return nil
}

// Shell is the frame of the page.
type Shell struct {
	desk   *desk.Desk
	win    Window
	about  About
	doctor func() []Check
}

// About says what this program is made of.
type About struct {
	Version  string    `json:"version"`
	Licences []Licence `json:"licences"`
	LogPath  string    `json:"logPath"`
}

// Licence is one part and its licence.
type Licence struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Licence string `json:"licence"`
}

// Check is one finding of the doctor.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Hint   string `json:"hint"`
}

// Report is what the doctor found.
type Report struct {
	Checks []Check `json:"checks"`
}

// Services are the bound types.
type Services struct {
	Shell    *Shell
	Setup    *Setup
	Sessions *Sessions
	Remote   *Remote
	Mail     *Mail
	History  *History
	Team     *Team
	Account  *Account
}

// New makes the services over a desk. doctor gives the checks of the system;
// those of the server are added here.
func New(d *desk.Desk, win Window, about About, doctor func() []Check) Services {
	return Services{
		Shell: &Shell{desk: d, win: win, about: about, doctor: doctor}, Setup: &Setup{d}, Sessions: &Sessions{d},
		Remote: &Remote{d}, Mail: &Mail{d}, History: &History{desk: d, win: win}, Team: &Team{d}, Account: &Account{d},
	}
}

// Bind returns the services in the form Wails takes.
func (s Services) Bind() []any {
	return []any{s.Shell, s.Setup, s.Sessions, s.Remote, s.Mail, s.History, s.Team, s.Account}
}

// Snapshot returns what the page shows now.
func (s *Shell) Snapshot() (desk.Snapshot, error) {
	out, err := s.desk.Snapshot()
	return out, crossed(err)
}

// Quit closes the program; a live session asks first.
func (s *Shell) Quit() { s.win.Quit() }

// Fullscreen takes or leaves the whole screen.
func (s *Shell) Fullscreen(on bool) { s.win.Fullscreen(on) }

// CopyText puts text of the page, at most 16 KiB, on the clipboard.
func (s *Shell) CopyText(text string) error {
	if err := bounded(16<<10, text); err != nil {
		return err
	}
	if err := s.win.SetClipboardText(text); err != nil {
		return crossed(fault.Wrap(err, fault.Unsupported, "shell.copy", "The clipboard did not take the text.", "Try again."))
	}
	return nil
}

// About returns version, licences and where the log is.
func (s *Shell) About() (About, error) { return s.about, nil }

// Doctor checks what a session needs.
func (s *Shell) Doctor() (Report, error) {
	snap, err := s.desk.Snapshot()
	if err != nil {
		return Report{}, crossed(err)
	}
	r := Report{Checks: []Check{
		{Name: "Signaling server", OK: snap.Server.Online, Detail: snap.Server.URL, Hint: hint(snap.Server.Online, "Check the network connection and the address of the server.")},
		{Name: "Secrets", OK: snap.Vault.Kind == "keyring" || snap.Vault.Kind == "passphrase", Detail: vaultWords(snap.Vault.Kind), Hint: hint(snap.Vault.Kind != "memory", "Install a keyring (for example gnome-keyring) to stay signed in.")},
		{Name: "Mail", OK: snap.Mail.Configured, Detail: snap.Mail.From, Hint: hint(snap.Mail.Configured, "Set up a mail server in Settings, or send links yourself.")},
	}}
	if s.doctor != nil {
		r.Checks = append(r.Checks, s.doctor()...)
	}
	return r, nil
}

func hint(ok bool, h string) string {
	if ok {
		return ""
	}
	return h
}

func vaultWords(kind string) string {
	switch kind {
	case "keyring":
		return "Sealed; the key is in the keyring of this computer."
	case "passphrase":
		return "Sealed with your passphrase."
	case "memory":
		return "Kept until Daypass is closed, and nowhere else."
	}
	return "Locked."
}

// SetAppearance chooses "system", "light" or "dark".
func (s *Shell) SetAppearance(a string) error { return crossed(s.desk.SetAppearance(a)) }

// SetLanguage chooses "en" or "de".
func (s *Shell) SetLanguage(l string) error { return crossed(s.desk.SetLanguage(l)) }

// DismissNotice removes a notice.
func (s *Shell) DismissNotice(id string) error {
	if err := bounded(200, id); err != nil {
		return err
	}
	return crossed(s.desk.DismissNotice(id))
}

// Setup is the way to a server.
type Setup struct{ desk *desk.Desk }

// SignIn is what a person types to sign in.
type SignIn struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	TOTP     string `json:"totp"`
}

// UseThisComputer starts the server inside the program.
func (s *Setup) UseThisComputer() error { return crossed(s.desk.UseThisComputer()) }

// UseServer chooses the company's server.
func (s *Setup) UseServer(url string) error {
	if err := bounded(300, url); err != nil {
		return err
	}
	return crossed(s.desk.UseServer(url))
}

// SignOut forgets the sign-in.
func (s *Setup) SignOut() error { return crossed(s.desk.SignOut()) }

// Unlock opens the vault with its passphrase.
func (s *Setup) Unlock(passphrase string) error {
	if err := bounded(1024, passphrase); err != nil {
		return err
	}
	return crossed(s.desk.Unlock(passphrase))
}

// SetPassphrase makes a vault sealed with a passphrase.
func (s *Setup) SetPassphrase(passphrase string) error {
	if err := bounded(1024, passphrase); err != nil {
		return err
	}
	return crossed(s.desk.SetPassphrase(passphrase))
}

// UseMemory goes on without keeping secrets.
func (s *Setup) UseMemory() error { return crossed(s.desk.UseMemory()) }

// SetLAN lets others on the network reach the server inside the program.
func (s *Setup) SetLAN(on bool, address string) error {
	if err := bounded(64, address); err != nil {
		return err
	}
	return crossed(s.desk.SetLAN(on, address))
}

// Sessions is the Ad Hoc Support page.
type Sessions struct{ desk *desk.Desk }

// Preview writes the invitation.
func (s *Sessions) Preview(in desk.Invite) (desk.Preview, error) {
	if err := bounded(1024, in.Email, in.Name, in.Subject, in.Language, in.Note); err != nil {
		return desk.Preview{}, err
	}
	p, err := s.desk.Preview(in)
	return p, crossed(err)
}

// Create makes a session.
func (s *Sessions) Create(in desk.Invite) (desk.Session, error) {
	if err := bounded(1024, in.Email, in.Name, in.Subject, in.Language, in.Note); err != nil {
		return desk.Session{}, err
	}
	x, err := s.desk.Create(context.Background(), in)
	return x, crossed(err)
}

func (s *Sessions) byID(id string, f func(string) error) error {
	if err := bounded(64, id); err != nil {
		return err
	}
	return crossed(f(id))
}

// SendMail sends the invitation over the mail server.
func (s *Sessions) SendMail(id string) error { return s.byID(id, s.desk.SendMail) }

// OpenMailProgram opens the mail program with the invitation.
func (s *Sessions) OpenMailProgram(id string) error { return s.byID(id, s.desk.OpenMailProgram) }

// CopyLink puts the link on the clipboard.
func (s *Sessions) CopyLink(id string) error { return s.byID(id, s.desk.CopyLink) }

// Correct changes address and name of the customer.
func (s *Sessions) Correct(id, email, name string) error {
	if err := bounded(1024, id, email, name); err != nil {
		return err
	}
	return crossed(s.desk.Correct(id, email, name))
}

// Resend sends the invitation again.
func (s *Sessions) Resend(id string) error { return s.byID(id, s.desk.SendMail) }

// Again returns what a new session with the same customer is prepared with.
func (s *Sessions) Again(id string) (desk.Invite, error) {
	if err := bounded(64, id); err != nil {
		return desk.Invite{}, err
	}
	in, err := s.desk.Again(id)
	return in, crossed(err)
}

// Cancel takes the invitation back.
func (s *Sessions) Cancel(id string) error { return s.byID(id, s.desk.Cancel) }

// TakeOver goes on with a session by the link of its invitation: the keys were
// lost, or this is another computer. The customer confirms by a fresh code.
func (s *Sessions) TakeOver(link string) (desk.Session, error) {
	if err := bounded(2048, link); err != nil {
		return desk.Session{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := s.desk.TakeOver(ctx, link)
	return out, crossed(err)
}

// Choose says which computer is the customer's.
func (s *Sessions) Choose(id, instance string) error {
	if err := bounded(64, id, instance); err != nil {
		return err
	}
	return crossed(s.desk.Choose(id, instance))
}

// NewCode makes a fresh code.
func (s *Sessions) NewCode(id string) error { return s.byID(id, s.desk.NewCode) }

// End ends the session now.
func (s *Sessions) End(id string) error { return s.byID(id, s.desk.End) }

// AskRight asks the customer to allow a right that is off.
func (s *Sessions) AskRight(id, right string) error {
	return s.byID(id, func(id string) error { return s.desk.AskRight(id, right) })
}

// Reboot asks the customer's computer to restart; the customer may refuse.
func (s *Sessions) Reboot(id string) error { return s.byID(id, s.desk.Reboot) }

// PutAway removes an ended session from the page.
func (s *Sessions) PutAway(id string) error { return s.byID(id, s.desk.PutAway) }

// Remote is Remote Control.
type Remote struct{ desk *desk.Desk }

// Open begins Remote Control and says where the stream is.
func (r *Remote) Open(id string, viewOnly bool) (desk.Ticket, error) {
	if err := bounded(64, id); err != nil {
		return desk.Ticket{}, err
	}
	t, err := r.desk.OpenRemote(id, viewOnly)
	return t, crossed(err)
}

func (r *Remote) byID(id string, f func(string) error) error {
	if err := bounded(64, id); err != nil {
		return err
	}
	return crossed(f(id))
}

// Close ends Remote Control.
func (r *Remote) Close(id string) error { return r.byID(id, r.desk.CloseRemote) }

// SelectDisplay shows another display.
func (r *Remote) SelectDisplay(id string, display uint32) error {
	return r.byID(id, func(id string) error { return r.desk.SelectDisplay(id, display) })
}

// SetViewOnly holds mouse and keyboard back.
func (r *Remote) SetViewOnly(id string, on bool) error {
	return r.byID(id, func(id string) error { return r.desk.SetViewOnly(id, on) })
}

// Chord sends a key combination by name.
func (r *Remote) Chord(id, name string) error {
	if err := bounded(32, name); err != nil {
		return err
	}
	return r.byID(id, func(id string) error { return r.desk.Chord(id, name) })
}

// SendClipboard sends this computer's clipboard text.
func (r *Remote) SendClipboard(id string) error { return r.byID(id, r.desk.SendClipboard) }

// FetchClipboard asks for the other computer's clipboard text.
func (r *Remote) FetchClipboard(id string) error { return r.byID(id, r.desk.FetchClipboard) }

// Stats returns the figures of the picture path.
func (r *Remote) Stats(id string) (desk.RemoteStats, error) {
	if err := bounded(64, id); err != nil {
		return desk.RemoteStats{}, err
	}
	s, err := r.desk.Stats(id)
	return s, crossed(err)
}

// Mail is the mail settings.
type Mail struct{ desk *desk.Desk }

// MailSettings are the mail server's, the password excepted.
type MailSettings struct {
	Host        string `json:"host"`
	Port        int    `json:"port"`
	Security    string `json:"security"`
	User        string `json:"user"`
	From        string `json:"from"`
	HasPassword bool   `json:"hasPassword"`
	Unprotected bool   `json:"unprotected"` // the person accepts a way without encryption
}

// Get returns the settings.
func (m *Mail) Get() (MailSettings, error) {
	s, has, err := m.desk.MailSettings()
	if s.Security == "" {
		s.Security, s.Port = mail.StartTLS, 587
	}
	return MailSettings{Host: s.Host, Port: s.Port, Security: string(s.Security), User: s.User, From: s.From, HasPassword: has, Unprotected: s.Unprotected}, crossed(err)
}

// Save stores the settings. An empty password keeps the stored one while host
// and user stay the same; an empty host removes everything.
func (m *Mail) Save(in MailSettings, password string) error {
	if err := bounded(1024, in.Host, in.Security, in.User, in.From, password); err != nil {
		return err
	}
	s := mail.Server{
		Host: strings.TrimSpace(in.Host), Port: in.Port, Security: mail.Security(in.Security),
		User: strings.TrimSpace(in.User), From: strings.TrimSpace(in.From),
	}
	s.Unprotected = in.Unprotected && s.Security == mail.None
	if s.Host == "" {
		s = mail.Server{}
	}
	return crossed(m.desk.SaveMail(s, password))
}

// Test sends a test message.
func (m *Mail) Test(to string) error {
	if err := bounded(1024, to); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), mail.Timeout+5*time.Second)
	defer cancel()
	return crossed(m.desk.TestMail(ctx, to))
}

// StopTest gives up the test message that is on its way.
func (m *Mail) StopTest() error { return crossed(m.desk.StopTest()) }
