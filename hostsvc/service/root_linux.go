package service

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/hostsvc/lease"
)

// Verb is what the person's service may ask root's for.
type Verb string

// The verbs. There are no others, and they carry no words of the person.
const (
	Restart Verb = "restart" // restart the computer
	Leave   Verb = "leave"   // take everything of root's away; the session is over
)

// ParseVerb reads a verb.
func ParseVerb(s string) (Verb, error) {
	switch v := Verb(strings.TrimSpace(s)); v {
	case Restart, Leave:
		return v, nil
	}
	return "", fmt.Errorf("service: verb %.20q", s)
}

const (
	verbName   = "verb" // file in the session's folder through which the agent asks its service
	configName = "service.json"
	recordName = "lease.json"
	binaryName = "daypass-host"
	maxConfig  = 16 << 10
)

// Ask leaves a verb for the service of the session in folder. It has no effect
// where no service of root's stands above that.
func Ask(folder string, v Verb) error {
	return lease.WriteFile(filepath.Join(folder, verbName), []byte(v))
}

// Asked takes the verb that was left in folder, if any.
func Asked(folder string) (Verb, bool) {
	path := filepath.Join(folder, verbName)
	f, err := os.Open(path)
	if err != nil {
		return "", false
	}
	b, err := io.ReadAll(io.LimitReader(f, 64))
	if cerr := f.Close(); err != nil || cerr != nil {
		return "", false
	}
	if err := os.Remove(path); err != nil {
		return "", false
	}
	v, err := ParseVerb(string(b))
	return v, err == nil
}

// RootConfig is what root's service knows: whom to run what as, and until when.
type RootConfig struct {
	Version int       `json:"version"`
	Name    string    `json:"name"` // Spec.Name
	UID     int       `json:"uid"`
	GID     int       `json:"gid"`
	Groups  []int     `json:"groups"`
	User    string    `json:"user"`
	Home    string    `json:"home"`
	Program string    `json:"program"` // the person's copy; root never runs it as root
	Args    []string  `json:"args"`
	Until   time.Time `json:"until"`
}

// ParseRootConfig reads a configuration strictly. What this program would not
// have written is a fault of kind Corrupt.
func ParseRootConfig(b []byte) (RootConfig, error) {
	var c RootConfig
	var err error
	switch {
	case len(b) > maxConfig:
		err = errors.New("too large")
	default:
		err = grant.Strict(b, &c)
	}
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return RootConfig{}, fault.Wrap(err, fault.Corrupt, "service.config", "What keeps this computer ready after a restart is damaged.", "")
	}
	return c, nil
}

func (c RootConfig) check() error {
	if c.Version != 1 || c.UID < 1 || c.GID < 0 || len(c.Groups) > 1024 || len(c.Args) > 8 || len(c.User) > 256 || c.Until.IsZero() ||
		!filepath.IsAbs(c.Home) || strings.ContainsAny(c.User+c.Home, "\x00\n") {
		return fmt.Errorf("service: configuration of version %d for uid %d", c.Version, c.UID)
	}
	return Spec{Name: c.Name, Program: c.Program, Args: c.Args}.check()
}

// GroupsOf returns the group and the groups that the system gives the user with
// this uid. What a person's own program says of that is not to be believed: as
// root's service it would run with it.
func GroupsOf(ctx context.Context, uid int) (gid int, groups []int, err error) {
	ask := func(option string) ([]int, error) {
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		cmd := exec.CommandContext(ctx, "id", option, strconv.Itoa(uid)) // it knows the users of a network, too
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("service: groups of uid %d: %w", uid, err)
		}
		var list []int
		for _, w := range strings.Fields(string(out)) {
			n, err := strconv.Atoi(w)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("service: group %.20q of uid %d", w, uid)
			}
			list = append(list, n)
		}
		return list, nil
	}
	own, err := ask("-g")
	if err == nil && len(own) != 1 {
		err = fmt.Errorf("service: %d groups of their own for uid %d", len(own), uid)
	}
	if err == nil {
		groups, err = ask("-G")
	}
	if err != nil {
		return 0, nil, fault.Wrap(err, fault.Denied, "service.groups", "This computer does not tell who asks for this.", "")
	}
	return own[0], groups, nil
}

// RootDir is where root's service keeps its own copy of the program.
func RootDir(name string) string { return filepath.Join("/var/lib", name) }

// RootSpec is the unit of root's service in dir.
func RootSpec(name, dir string) Spec {
	return Spec{Name: name, Program: filepath.Join(dir, binaryName), Args: []string{"service", "--system", dir}}
}

// RootItems lists what InstallRoot puts on the computer.
func RootItems(m Manager, name, dir string) []Item {
	return append([]Item{{Path: dir, What: "the service's folder, of this computer's administrator"}}, m.Items(RootSpec(name, dir))...)
}

// InstallRoot puts root's service into dir and starts it: exe is copied there,
// so that nothing that the person could change is ever run as root. now and c
// begin root's own count of the day.
func InstallRoot(ctx context.Context, m Manager, dir, exe string, c RootConfig, now lease.Reading) error {
	if err := c.check(); err != nil {
		return fault.Wrap(err, fault.Invalid, "service.root", "What the program asked for cannot be done on this computer.", "")
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return notStored(err)
	}
	st, err := os.Lstat(dir)
	if err != nil || !st.IsDir() || st.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
		return notStored(fmt.Errorf("service: %s is not ours: %w", dir, err))
	}
	if err := os.Chmod(dir, 0o700); err != nil { // #nosec G302 -- a folder
		return notStored(err)
	}
	if err := CopyProgram(exe, filepath.Join(dir, binaryName)); err != nil {
		return notStored(err)
	}
	b, err := json.Marshal(c)
	if err == nil {
		err = lease.WriteFile(filepath.Join(dir, configName), b)
	}
	if err == nil {
		err = lease.Begin(c.Until, now.Wall, now).Save(filepath.Join(dir, recordName))
	}
	if err != nil {
		return notStored(err)
	}
	spec := RootSpec(c.Name, dir)
	if err := m.Install(ctx, spec); err != nil {
		return err
	}
	return m.Start(ctx, spec)
}

// RemoveRoot takes away all that InstallRoot put there.
func RemoveRoot(ctx context.Context, m Manager, name, dir string) error {
	err := m.Remove(ctx, RootSpec(name, dir))
	if rerr := os.RemoveAll(dir); err == nil {
		err = rerr
	}
	return err
}

// CopyProgram copies an executable, mode 0700. to is replaced at once.
func CopyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	tmp := to + ".new"
	if err := gone(tmp); err != nil {
		return err
	}
	out, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp, to)
	}
	if err != nil {
		return errors.Join(err, gone(tmp))
	}
	return nil
}

// Root is root's service while it runs.
type Root struct {
	Config RootConfig
	Dir    string
	// Command is how the person's service is run; nil: as Config says.
	Command func(context.Context) *exec.Cmd
	// Reboot restarts the computer.
	Reboot func(context.Context) error
	// Remove takes everything of root's away.
	Remove func(context.Context) error
	Clock  func() lease.Reading
	Log    *slog.Logger
}

// graceAfterEnd is how long the person's part may take to remove itself when the
// day is over, before root's goes without it.
const graceAfterEnd = 10 * time.Minute

// LoadRoot reads the configuration in dir.
func LoadRoot(dir string) (RootConfig, error) {
	f, err := os.Open(filepath.Join(dir, configName))
	if err != nil {
		return RootConfig{}, fmt.Errorf("service: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return RootConfig{}, fmt.Errorf("service: %w", err)
	}
	return ParseRootConfig(b)
}

// Run keeps the person's service running until that ends well: then the session
// is over, and root's part removes itself. It removes itself as well when the
// day is over by its own count, and when the person's part is not there any
// more. ctx ending leaves everything for the next start.
func (r *Root) Run(ctx context.Context) error {
	rec, err := lease.Load(filepath.Join(r.Dir, recordName))
	if err != nil {
		r.Log.Warn("the count of the day cannot be read: the service goes", "cause", err)
		return r.Remove(ctx)
	}
	var over time.Time // since when the day is over
	wait := retryMin
	for {
		child, cancel := context.WithCancel(ctx)
		verbs, done, err := r.start(child)
		if errors.Is(err, fs.ErrNotExist) {
			cancel()
			r.Log.Warn("the program is not there any more: the service goes")
			return r.Remove(ctx)
		}
		began := time.Now()
		if err != nil {
			r.Log.Warn("not started", "cause", err)
		} else {
			err = r.watch(ctx, &rec, &over, verbs, done)
		}
		cancel()
		switch {
		case err == nil:
			return r.Remove(context.WithoutCancel(ctx))
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(began) >= steady:
			wait = retryMin
		}
		r.Log.Warn("the person's service ended", "cause", err, "again_in", wait)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMax)
	}
}

// watch follows one run of the person's service. nil: the session is over.
func (r *Root) watch(ctx context.Context, rec *lease.Record, over *time.Time, verbs <-chan Verb, done <-chan error) error {
	t := time.NewTicker(lease.Checkpoint)
	defer t.Stop()
	for {
		select {
		case err := <-done:
			return err
		case v := <-verbs:
			r.Log.Info("asked", "verb", v)
			do := r.Reboot
			if v == Leave {
				do = r.Remove
			}
			if err := do(ctx); err != nil {
				r.Log.Error("not done", "verb", v, "cause", err)
			}
		case <-t.C:
			if rec.Tick(r.Clock(), time.Time{}) == lease.Expired && over.IsZero() {
				*over = time.Now()
			}
			if _, err := os.Lstat(r.Dir); err == nil {
				if err := rec.Save(filepath.Join(r.Dir, recordName)); err != nil {
					r.Log.Error("the count of the day could not be stored", "cause", err)
				}
			}
			if !over.IsZero() && time.Since(*over) >= graceAfterEnd {
				return nil
			}
		}
	}
}

// start runs the person's service with the person's rights alone.
func (r *Root) start(ctx context.Context) (<-chan Verb, <-chan error, error) {
	var cmd *exec.Cmd
	if r.Command != nil {
		cmd = r.Command(ctx)
	} else {
		cmd = r.Config.command(ctx)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopLimit
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	verbs, done := make(chan Verb, 4), make(chan error, 1)
	go func() {
		s := bufio.NewScanner(out)
		s.Buffer(make([]byte, 0, 128), 128)
		for s.Scan() {
			v, err := ParseVerb(s.Text())
			if err != nil {
				r.Log.Warn("refused", "cause", err)
				continue
			}
			select {
			case verbs <- v:
			default: // it asks faster than anything can be done
			}
		}
		done <- cmd.Wait()
	}()
	return verbs, done, nil
}

func (c RootConfig) command(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.Program, c.Args...)
	cmd.Dir = "/"
	cmd.Env = []string{"HOME=" + c.Home, "USER=" + c.User, "LOGNAME=" + c.User, "PATH=/usr/local/bin:/usr/bin:/bin"}
	for _, k := range []string{"LANG", "LC_ALL"} {
		if v := os.Getenv(k); v != "" {
			cmd.Env = append(cmd.Env, k+"="+v)
		}
	}
	groups := make([]uint32, 0, len(c.Groups))
	for _, g := range c.Groups {
		groups = append(groups, uint32(g)) // #nosec G115 -- from the system's own list
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(c.UID), Gid: uint32(c.GID), Groups: groups}} // #nosec G115 -- checked
	return cmd
}
