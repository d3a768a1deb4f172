//go:build lab

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/wailsapp/wails/v2/pkg/options"
	wails "github.com/wailsapp/wails/v2/pkg/runtime"

	"daypass/backend/desk"
	"daypass/backend/fault"
	"daypass/backend/rendezvous"
	"daypass/backend/rendezvous/protocol"
)

// lab is true in this build: it signs in, invites and opens Remote Control by
// itself, keeps secrets in memory only, and is never released.
const lab = true

// labFlags are documented in docs/lab.md; programs from outside drive them.
type labFlags struct {
	server, account, out string
}

func (f *labFlags) define(fl *flag.FlagSet) {
	fl.StringVar(&f.server, "server", "", "`URL` of the signaling server")
	fl.StringVar(&f.account, "account", "", "`FILE` with the sign-in, as daypass-signaling admin create wrote it")
	fl.StringVar(&f.out, "out", "", "`DIR` for link, code, state and stats")
}

func (f *labFlags) check() error {
	if f.server == "" || f.account == "" || f.out == "" {
		return fault.New(fault.Invalid, "lab", "The lab console needs --server, --account and --out.", "See docs/lab.md.")
	}
	return nil
}

func (f *labFlags) window(o *options.App) {
	o.MinWidth, o.MinHeight = 1, 1
	o.Frameless = true
	o.WindowStartState = options.Fullscreen
}

// start runs the session in the background until ctx is done.
func (f *labFlags) start(ctx context.Context, d *desk.Desk, a *app) {
	fmt.Fprintln(os.Stderr, "daypass-lab: this build runs a session without a person and is never released")
	go func() {
		if err := f.run(ctx, d, a); err != nil && ctx.Err() == nil {
			a.fail(err)
		}
	}()
}

// fail closes without asking; the program ends with err, after everything was
// put away.
func (a *app) fail(err error) {
	a.mu.Lock()
	a.failed = err
	a.mu.Unlock()
	a.quitNow()
}

// signIn is the file that daypass-signaling admin create writes.
type signIn struct {
	Email    string `json:"email"`
	Password string `json:"password"`
	TOTPSeed string `json:"totp_seed"`

	spent int64 // time step of the last code tried
}

// code returns a one-time code that was not tried before. The server takes one
// step of clock error, so that two starts within half a minute need not wait.
func (s *signIn) code() (string, error) {
	if s.TOTPSeed == "" {
		return "", nil
	}
	seed, err := protocol.ParseSeed(s.TOTPSeed)
	if err != nil {
		return "", err
	}
	s.spent = max(s.spent+1, protocol.TOTPStep(time.Now()))
	return protocol.TOTPCode(seed, s.spent), nil
}

func (f *labFlags) run(ctx context.Context, d *desk.Desk, a *app) error {
	if err := os.MkdirAll(f.out, 0o700); err != nil {
		return err
	}
	b, err := os.ReadFile(f.account)
	if err != nil {
		return err
	}
	var who signIn
	if err := json.Unmarshal(b, &who); err != nil {
		return fmt.Errorf("%s: %w", f.account, err)
	}
	if err := f.write("state", "waiting\n"); err != nil {
		return err
	}
	id, err := f.invite(ctx, d, &who)
	if err != nil {
		return err
	}
	stats, err := os.OpenFile(filepath.Join(f.out, "stats"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer stats.Close()
	return f.follow(ctx, d, a, id, stats)
}

// invite signs in, trying for 30 s where the server is not there yet, and
// creates the session.
func (f *labFlags) invite(ctx context.Context, d *desk.Desk, who *signIn) (string, error) {
	end := time.Now().Add(30 * time.Second)
	for {
		s, err := d.Snapshot()
		if err != nil {
			return "", err
		}
		switch s.Phase {
		case desk.PhaseFatal:
			return "", fault.New(fault.Kind(s.Fatal.Kind), s.Fatal.Op, s.Fatal.Message, s.Fatal.Hint)
		case desk.PhaseWelcome:
			err = d.UseServer(f.server)
		case desk.PhaseSignIn:
			var code string
			if code, err = who.code(); err == nil {
				err = d.SignIn(who.Email, who.Password, code)
			}
			if errors.Is(err, rendezvous.ErrTOTP) && time.Now().Before(end.Add(protocol.TOTPPeriod)) {
				// Another start used this code: the next one, once the server takes it.
				if serr := sleep(ctx, time.Until(time.Unix(who.spent*30, 0))); serr != nil {
					return "", serr
				}
				continue
			}
		case desk.PhaseReady:
			if s.Server.Online {
				x, cerr := d.Create(ctx, desk.Invite{Email: "lab@example.invalid", Name: "Lab", Subject: "lab", Language: "en"})
				if cerr == nil {
					return x.ID, f.write("link", x.Link+"\n")
				}
				err = cerr
			}
		}
		if err != nil && (fault.KindOf(err) != fault.Offline && fault.KindOf(err) != fault.Conflict || time.Now().After(end)) {
			return "", err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return "", err
		}
	}
}

// follow writes what happens until ctx is done.
func (f *labFlags) follow(ctx context.Context, d *desk.Desk, a *app, id string, stats *os.File) error {
	state, code, opened, linked := "waiting", "", false, false
	nextStats := time.Now()
	for {
		s, err := d.Snapshot()
		if err != nil {
			return err
		}
		var x *desk.Session
		for i := range s.Sessions {
			if s.Sessions[i].ID == id {
				x = &s.Sessions[i]
			}
		}
		now := "ended"
		if x != nil {
			linked = linked || x.LinkState == "open"
			now = word(x, linked)
			if x.Code != nil && x.Code.Digits != "" && x.Code.Digits != code {
				code = x.Code.Digits
				if err := f.write("code", code+"\n"); err != nil {
					return err
				}
			}
			if x.Verbs.NewCode && x.Code != nil && x.Code.State == "expired" {
				if err := d.NewCode(id); err != nil {
					return err
				}
			}
			if now == "active" && !opened {
				opened = true
				a.fillScreen()
				if err := d.OpenUI(id); err != nil {
					return err
				}
			}
		}
		if now != state {
			state = now
			if err := f.write("state", state+"\n"); err != nil {
				return err
			}
		}
		if opened && !time.Now().Before(nextStats) {
			nextStats = time.Now().Add(time.Second)
			r, err := d.Stats(id)
			if err == nil {
				line, merr := json.Marshal(struct {
					At    int64  `json:"at"` // unix milliseconds
					State string `json:"state"`
					desk.RemoteStats
				}{time.Now().UnixMilli(), state, r})
				if merr != nil {
					return merr
				}
				if _, err := stats.Write(append(line, '\n')); err != nil {
					return err
				}
			}
		}
		pause := 50 * time.Millisecond
		if opened && now == "active" {
			pause = 250 * time.Millisecond // nothing is waited for, and what is measured is not this
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// word is the session's state in one of the lab's five words.
func word(x *desk.Session, linked bool) string {
	switch x.State {
	case "invited":
		return "waiting"
	case "answered", "pairing":
		return "host"
	case "active":
		switch {
		case x.LinkState == "open":
			return "active"
		case !linked:
			return "host" // the first connection is being made
		}
		return "offline"
	}
	return "ended"
}

// fillScreen makes the window the screen, with or without a window manager.
func (a *app) fillScreen() {
	ctx := a.context()
	if ctx == nil {
		return
	}
	wails.WindowFullscreen(ctx)
	screens, err := wails.ScreenGetAll(ctx)
	if err != nil {
		a.log.Warn("screens", "error", err)
		return
	}
	for _, s := range screens {
		if s.IsCurrent || s.IsPrimary || len(screens) == 1 {
			wails.WindowSetSize(ctx, s.Size.Width, s.Size.Height)
			wails.WindowSetPosition(ctx, 0, 0)
			return
		}
	}
}

func (f *labFlags) write(name, text string) error {
	tmp := filepath.Join(f.out, "."+name+".new")
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(f.out, name))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
