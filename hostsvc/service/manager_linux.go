package service

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"daypass/backend/fault"
)

// Places are where this system keeps entries. Tests have their own.
type Places struct {
	System    string // units of the system: /etc/systemd/system
	User      string // units of the person: ~/.config/systemd/user
	Autostart string // ~/.config/autostart
	Booted    string // exists where systemd is the init: /run/systemd/system
	// Systemctl is the tool; a name is looked for in PATH.
	Systemctl string
}

// Here returns this computer's places; "" where there is no home.
func Here() Places {
	p := Places{System: "/etc/systemd/system", Booted: "/run/systemd/system", Systemctl: "systemctl"}
	if d, err := os.UserConfigDir(); err == nil {
		p.User, p.Autostart = filepath.Join(d, "systemd", "user"), filepath.Join(d, "autostart")
	}
	return p
}

// systemd reports whether systemd is this computer's init.
func (p Places) systemd() bool {
	if st, err := os.Stat(p.Booted); err != nil || !st.IsDir() {
		return false
	}
	_, err := exec.LookPath(p.Systemctl)
	return err == nil
}

// ForUser returns what keeps the program for a person without administrator
// rights: a unit of the person where systemd runs, the desktop's autostart
// elsewhere. nil: there is no home to put it into.
func ForUser(p Places) Manager {
	switch {
	case p.User == "":
		return nil
	case p.systemd():
		return &units{places: p, dir: p.User, user: true, wantedBy: "default.target"}
	}
	return &autostart{dir: p.Autostart}
}

// ForSystem returns what keeps the program for the whole computer; it needs
// root. nil: this system has no systemd.
func ForSystem(p Places) Manager {
	if !p.systemd() {
		return nil
	}
	return &units{places: p, dir: p.System, wantedBy: "multi-user.target"}
}

// units are entries of systemd. The entry is written and linked by hand, as
// "systemctl enable" does it: so it is known beforehand what is put where, and
// it works where the manager cannot be asked at this moment.
type units struct {
	places   Places
	dir      string
	user     bool
	wantedBy string
}

// After implements Manager.
func (u *units) After() After {
	if u.user {
		return Login
	}
	return Boot
}

func (u *units) unit(s Spec) string { return filepath.Join(u.dir, s.Name+".service") }
func (u *units) link(s Spec) string {
	return filepath.Join(u.dir, u.wantedBy+".wants", s.Name+".service")
}

// Items implements Manager.
func (u *units) Items(s Spec) []Item {
	items := missing(filepath.Dir(u.link(s)))
	return append(items,
		Item{Path: u.unit(s), Unit: true, What: "the entry that starts the program after a restart"},
		Item{Path: u.link(s), What: "the link that switches that entry on"})
}

// missing lists the folders on the way to dir that are not there, outermost
// first.
func missing(dir string) []Item {
	var out []Item
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
		out = append([]Item{{Path: d, Folder: true, What: "the folder it lay in"}}, out...)
	}
	return out
}

// quote writes one word of a unit's command line (systemd.service(5)).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`, `$`, `$$`).Replace(s) + `"`
}

// text is the unit.
func (u *units) text(s Spec) string {
	words := []string{quote(s.Program)}
	for _, a := range s.Args {
		words = append(words, quote(a))
	}
	return "[Unit]\n" +
		"Description=Remote support session (Daypass); it removes itself\n" +
		"StartLimitIntervalSec=0\n" +
		"\n[Service]\n" +
		"Type=exec\n" +
		"ExecStart=" + strings.Join(words, " ") + "\n" +
		"Restart=on-failure\n" +
		"RestartSec=2\n" +
		"TimeoutStopSec=10\n" +
		"UMask=0077\n" +
		"\n[Install]\n" +
		"WantedBy=" + u.wantedBy + "\n"
}

// Install implements Manager.
func (u *units) Install(ctx context.Context, s Spec) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(u.link(s)), 0o755); err != nil {
		return notStored(err)
	}
	if err := writeFile(u.unit(s), []byte(u.text(s)), 0o644); err != nil {
		return notStored(err)
	}
	if err := os.Symlink(u.unit(s), u.link(s)); err != nil && !errors.Is(err, fs.ErrExist) {
		return notStored(err)
	}
	return nil
}

// Start implements Manager.
func (u *units) Start(ctx context.Context, s Spec) error {
	if err := u.call(ctx, "daemon-reload"); err != nil {
		return err
	}
	return u.call(ctx, "start", "--no-block", s.Name+".service")
}

// Stop implements Manager.
func (u *units) Stop(ctx context.Context, s Spec) error {
	return u.call(ctx, "stop", s.Name+".service")
}

// Remove implements Manager.
func (u *units) Remove(ctx context.Context, s Spec) error {
	err := errors.Join(gone(u.link(s)), gone(u.unit(s)))
	if err != nil {
		return fault.Wrap(err, fault.Denied, "service.remove", "The entry that starts the program after a restart could not be removed.", "")
	}
	return u.call(ctx, "daemon-reload")
}

// Status implements Manager.
func (u *units) Status(ctx context.Context, s Spec) (Status, error) {
	var st Status
	_, err1 := os.Lstat(u.unit(s))
	_, err2 := os.Lstat(u.link(s))
	st.Installed = err1 == nil && err2 == nil
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	out, err := u.command(ctx, "is-active", s.Name+".service").Output()
	word := strings.TrimSpace(string(out))
	st.Running = word == "active" || word == "activating" || word == "reloading"
	if err != nil && word == "" { // it says "inactive" and fails
		return st, failed("service.status", err, out)
	}
	return st, nil
}

func (u *units) command(ctx context.Context, args ...string) *exec.Cmd {
	if u.user {
		args = append([]string{"--user"}, args...)
	}
	cmd := exec.CommandContext(ctx, u.places.Systemctl, append([]string{"--no-ask-password"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	return cmd
}

func (u *units) call(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	if out, err := u.command(ctx, args...).CombinedOutput(); err != nil {
		return failed("service."+args[0], errors.Join(ctx.Err(), err), out)
	}
	return nil
}

// autostart is the desktop's own list of what it starts at sign-in (XDG), for
// systems without systemd.
type autostart struct{ dir string }

// After implements Manager.
func (a *autostart) After() After { return Login }

func (a *autostart) file(s Spec) string { return filepath.Join(a.dir, s.Name+".desktop") }

// Items implements Manager.
func (a *autostart) Items(s Spec) []Item {
	return append(missing(a.dir), Item{Path: a.file(s), What: "the entry that starts the program when you sign in"})
}

// Install implements Manager.
func (a *autostart) Install(_ context.Context, s Spec) error {
	if err := s.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return notStored(err)
	}
	// Desktop Entry Specification: quotes for Exec, and then the escapes of a string.
	word := func(w string) string {
		w = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", `$`, `\$`).Replace(w)
		return `"` + strings.ReplaceAll(strings.ReplaceAll(w, `\`, `\\`), `%`, `%%`) + `"`
	}
	words := []string{word(s.Program)}
	for _, w := range s.Args {
		words = append(words, word(w))
	}
	text := "[Desktop Entry]\nType=Application\nName=Remote support session (Daypass)\nNoDisplay=true\nTerminal=false\nExec=" + strings.Join(words, " ") + "\n"
	if err := writeFile(a.file(s), []byte(text), 0o644); err != nil {
		return notStored(err)
	}
	return nil
}

// Start implements Manager: nothing supervises here, so the service itself is
// started, on its own.
func (a *autostart) Start(ctx context.Context, s Spec) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.Program, s.Args...) // it outlives us
	cmd.Dir = "/"
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return failed("service.start", err, nil)
	}
	go func() { _ = cmd.Wait() }() // so that it leaves no zombie while we live; how it ends is its own matter
	return nil
}

// Stop implements Manager. There is nobody to ask: the service ends when the
// session's folder is gone.
func (a *autostart) Stop(context.Context, Spec) error { return nil }

// Remove implements Manager.
func (a *autostart) Remove(_ context.Context, s Spec) error {
	if err := gone(a.file(s)); err != nil {
		return fault.Wrap(err, fault.Denied, "service.remove", "The entry that starts the program when you sign in could not be removed.", "")
	}
	return nil
}

// Status implements Manager. Whether it runs is not known here.
func (a *autostart) Status(_ context.Context, s Spec) (Status, error) {
	_, err := os.Lstat(a.file(s))
	return Status{Installed: err == nil}, nil
}

func gone(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func notStored(err error) error {
	return fault.Wrap(err, fault.Full, "service.install", "What starts the program after a restart cannot be stored on this computer.", "The session goes on. After a restart start the program again.")
}

// writeFile replaces path at once: a crash leaves the old or the new content.
func writeFile(path string, content []byte, mode os.FileMode) error {
	tmp := path + ".new" // a fixed name, so that a crash leaves at most one and it is written over
	if err := gone(tmp); err != nil {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, gone(tmp))
	}
	return nil
}
