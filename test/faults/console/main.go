// Command console is a console without a window, for tests that kill it: the
// real desk with its real store and vault, and a file in the place of the
// system's keyring. It reads one command of JSON a line and writes its snapshots
// and the answers. It must not know what a test is after, and is no part of the
// product.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"daypass/backend/account"
	"daypass/backend/desk"
	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/backend/mail"
)

// Command is what the test asks for.
type Command struct {
	Do string `json:"do"` // create, mail, code, end, note, past
	ID string `json:"id,omitempty"`
	On bool   `json:"mine"` // end: the session is this console's
}

// Line is what the program says: a snapshot, or that a command was done.
type Line struct {
	Snapshot *desk.Snapshot   `json:"snapshot,omitempty"`
	Done     string           `json:"done,omitempty"`
	Failed   string           `json:"failed,omitempty"`
	Session  *desk.Session    `json:"session,omitempty"`
	Entries  []journal.Entry  `json:"entries,omitempty"`
	Verdict  *journal.Verdict `json:"verdict,omitempty"`
	Notes    int              `json:"notes,omitempty"`
	State    string           `json:"state,omitempty"` // past
}

// ring is a keyring in a file.
type ring struct{ dir string }

func (r ring) file(user string) string { return filepath.Join(r.dir, user) }

// Get implements account.Ring.
func (r ring) Get(user string) (string, error) {
	b, err := os.ReadFile(r.file(user))
	if os.IsNotExist(err) {
		return "", account.ErrNoKey
	}
	return string(b), err
}

// Set implements account.Ring.
func (r ring) Set(user, secret string) error {
	tmp := r.file(user) + ".new"
	if err := os.WriteFile(tmp, []byte(secret), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, r.file(user))
}

// Delete implements account.Ring.
func (r ring) Delete(user string) error { return os.Remove(r.file(user)) }

// out writes lines; the desk emits from one goroutine, commands from another.
type out struct {
	mu  sync.Mutex
	enc *json.Encoder
}

func (o *out) write(l Line) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.enc.Encode(l); err != nil {
		os.Exit(1) // the test is gone
	}
}

// Emit implements desk.System.
func (o *out) Emit(s desk.Snapshot) { o.write(Line{Snapshot: &s}) }

// ClipboardText implements desk.System.
func (*out) ClipboardText() (string, error) { return "", nil }

// SetClipboardText implements desk.System.
func (*out) SetClipboardText(string) error { return nil }

// OpenMail implements desk.System.
func (*out) OpenMail(string) error { return nil }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	dir := flag.String("dir", "", "profile")
	server := flag.String("server", "", "URL")
	email := flag.String("email", "", "of the account")
	password := flag.String("password", "", "of the account")
	smtp := flag.Int("smtp", 0, "port of the mail server on this computer")
	flag.Parse()
	keys := filepath.Join(*dir, "keyring")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return err
	}
	o := &out{enc: json.NewEncoder(os.Stdout)}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d := desk.New(desk.Config{
		Dir: *dir, Version: "test", Vault: account.New(*dir, ring{keys}), System: o, Log: log,
		LANAddresses: func() []desk.LANAddress { return nil },
	})
	defer d.Close()
	if err := ready(d, *server, *email, *password, *smtp); err != nil {
		return err
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var c Command
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return err
		}
		l := Line{Done: c.Do}
		if err := do(d, c, &l); err != nil {
			f := fault.Of(err)
			l.Failed = strings.TrimSpace(f.Message + " " + f.Hint)
		}
		o.write(l)
	}
	return in.Err()
}

// ready goes to the server and signs in, as far as that was not done before.
func ready(d *desk.Desk, server, email, password string, smtp int) error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		s, err := d.Snapshot()
		if err != nil {
			return err
		}
		switch s.Phase {
		case desk.PhaseFatal:
			return fmt.Errorf("fatal: %s", s.Fatal.Message)
		case desk.PhaseWelcome:
			err = d.UseServer(server)
		case desk.PhaseSignIn:
			err = d.SignIn(email, password, "")
		case desk.PhaseReady:
			if s.Mail.Configured {
				return nil
			}
			err = d.SaveMail(mail.Server{Host: "127.0.0.1", Port: smtp, Security: mail.None, From: "support@example.com"}, "")
		}
		if err != nil && (fault.KindOf(err) != fault.Offline && fault.KindOf(err) != fault.Conflict || time.Now().After(end)) {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("not ready: %s", s.Phase)
		}
	}
}

// do does one command.
func do(d *desk.Desk, c Command, l *Line) error {
	switch c.Do {
	case "create":
		x, err := d.Create(context.Background(), desk.Invite{Email: "anna@example.com", Name: "Anna Weber", Subject: "printer", Language: "en"})
		if err == nil {
			l.Session = &x
		}
		return err
	case "mail":
		return d.SendMail(c.ID)
	case "code":
		return d.NewCode(c.ID)
	case "end":
		if c.On {
			return d.End(c.ID)
		}
		return d.EndOf(c.ID)
	}
	id, err := grant.ParseID(c.ID)
	if err != nil {
		return err
	}
	switch c.Do {
	case "note":
		_, err := d.SetNote(id, "The printer was out of paper.")
		return err
	case "past":
		es, v, err := d.Timeline(id)
		if err != nil {
			return err
		}
		p, err := d.Past(id)
		if err != nil {
			return err
		}
		l.Entries, l.Verdict, l.Notes, l.State = es, &v, len(p.Notes), string(p.Row.Session.State)
		return nil
	}
	return fmt.Errorf("no such command: %s", c.Do)
}
