package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"daypass/backend/fault"
	"daypass/hostsvc/host"
	"daypass/hostsvc/lease"
	"daypass/hostsvc/removal"
	"daypass/hostsvc/service"
)

// keeper is host.Keeper on Linux.
type keeper struct {
	places service.Places
	exe    string // the running program
	root   bool   // this process runs under root's service
	log    *slog.Logger
}

// newKeeper returns nil where nothing can bring the program back: there is no
// home, or the state lies where a restart empties it.
func newKeeper(base string, log *slog.Logger) host.Keeper {
	exe, err := os.Executable()
	if err != nil || lab || !lasting(base) {
		return nil
	}
	return &keeper{places: service.Here(), exe: exe, root: os.Getenv(rootEnv) != "", log: log}
}

// rootEnv stands in the environment of what runs under root's service.
const rootEnv = "DAYPASS_UNDER_SYSTEM_SERVICE"

const programName = "daypass-host"

func (k *keeper) name(folder string) string {
	n := filepath.Base(folder)
	return service.Prefix + strings.ToLower(n[strings.LastIndexByte(n, '-')+1:])
}

// display is the name under which the session lies: "daypass-host-NAME-SESSION".
func display(folder string) string {
	n := strings.TrimPrefix(filepath.Base(folder), service.Prefix)
	return n[:max(0, strings.LastIndexByte(n, '-'))]
}

func (k *keeper) spec(folder string) service.Spec {
	return service.Spec{
		Name: k.name(folder), Program: filepath.Join(folder, programName),
		Args: []string{"service", "--state", folder, "--display", display(folder)},
	}
}

// manager is root's own where the person is root.
func (k *keeper) manager() service.Manager {
	if os.Getuid() == 0 {
		if m := service.ForSystem(k.places); m != nil {
			return m
		}
	}
	return service.ForUser(k.places)
}

// Items implements host.Keeper.
func (k *keeper) Items(folder string) []removal.Item {
	m := k.manager()
	if m == nil {
		return nil
	}
	out := []removal.Item{{Kind: removal.Program, Path: filepath.Join(folder, programName), What: "the program in its own folder", Last: true}}
	user := m.After() == service.Login
	for _, it := range m.Items(k.spec(folder)) {
		r := removal.Item{Kind: removal.File, Path: it.Path, What: it.What, Last: true}
		switch {
		case it.Folder:
			r.Kind = removal.Parent
		case it.Unit:
			r.Kind, r.User = removal.Unit, user
		case strings.HasSuffix(filepath.Dir(it.Path), ".wants"):
			continue // goes with its unit
		}
		out = append(out, r)
	}
	return out
}

// Keep implements host.Keeper.
func (k *keeper) Keep(ctx context.Context, folder string) error {
	m := k.manager()
	if m == nil {
		return fault.New(fault.Unsupported, "host.keep", "Nothing on this computer brings the program back after a restart.", "After a restart open the program once more.")
	}
	spec := k.spec(folder)
	if err := k.place(spec.Program); err != nil {
		return fault.Wrap(err, fault.Full, "host.keep", "The program cannot store what it needs.", "Make some room on the disk, then try again.")
	}
	if st, err := m.Status(ctx, spec); err == nil && st.Installed {
		return nil
	}
	return m.Install(ctx, spec)
}

// place puts the program into its own folder: it is never started again from
// where it was downloaded to.
func (k *keeper) place(to string) error {
	if st, err := os.Stat(to); err == nil && st.Mode().IsRegular() {
		return nil
	}
	if strings.HasPrefix(filepath.Base(filepath.Dir(k.exe)), startPrefix) && filepath.Dir(filepath.Dir(k.exe)) == filepath.Dir(filepath.Dir(to)) {
		if err := os.Rename(k.exe, to); err == nil { // ours, made at the start
			_ = os.Remove(filepath.Dir(k.exe)) // now, so that a crash does not leave it
			return nil
		}
	}
	return service.CopyProgram("/proc/self/exe", to)
}

// Begin implements host.Keeper.
func (k *keeper) Begin(ctx context.Context, folder string) error {
	if m := k.manager(); m != nil {
		return m.Start(ctx, k.spec(folder))
	}
	return nil
}

// After implements host.Keeper.
func (k *keeper) After(folder string) service.After {
	if _, err := os.Lstat(service.RootDir(k.name(folder))); err == nil {
		return service.Boot
	}
	m := k.manager()
	if m == nil {
		return service.Never
	}
	for _, it := range m.Items(k.spec(folder)) {
		if _, err := os.Lstat(it.Path); err != nil && !it.Folder {
			return service.Never
		}
	}
	return m.After()
}

// elevate is the command that runs words as root after the customer has typed
// an administrator's password into the system's own window; nil: there is none.
func (k *keeper) elevate(words ...string) []string {
	if p, err := exec.LookPath("pkexec"); err == nil && os.Getenv("DISPLAY") != "" {
		return append([]string{p}, words...)
	}
	return nil
}

// CanRaise implements host.Keeper.
func (k *keeper) CanRaise(folder string) bool {
	return os.Getuid() != 0 && k.After(folder) != service.Boot && service.ForSystem(k.places) != nil && k.elevate() != nil
}

// RootItems implements host.Keeper.
func (k *keeper) RootItems(folder string) []removal.Item {
	m := service.ForSystem(k.places)
	if m == nil {
		return nil
	}
	var out []removal.Item
	for _, it := range service.RootItems(m, k.name(folder), service.RootDir(k.name(folder))) {
		if !it.Folder {
			out = append(out, removal.Item{Kind: removal.System, Path: it.Path, What: it.What, Last: true})
		}
	}
	return out
}

// Raise implements host.Keeper.
func (k *keeper) Raise(ctx context.Context, folder string, until time.Time) error {
	argv := k.elevate(filepath.Join(folder, programName), "install", "--system")
	if argv == nil {
		return fault.New(fault.Unsupported, "host.raise", "This computer has no way to ask for an administrator's password.", "Everything stays as it is.")
	}
	c, err := k.rootConfig(folder, until)
	if err != nil {
		return err
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(string(b))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exit) && (exit.ExitCode() == 126 || exit.ExitCode() == 127): // pkexec(1): dismissed, not authorised
		return fault.New(fault.Cancelled, "host.raise", "No administrator's password was given.", "Everything stays as it is.")
	}
	return fault.Wrap(fmt.Errorf("%w: %.300s", err, out), fault.Denied, "host.raise", "The program could not be kept for the whole computer.", "Everything stays as it is.")
}

func (k *keeper) rootConfig(folder string, until time.Time) (service.RootConfig, error) {
	u, err := user.Current()
	if err != nil {
		return service.RootConfig{}, fault.Wrap(err, fault.Unsupported, "host.raise", "This computer does not tell who is signed in.", "Everything stays as it is.")
	}
	groups, err := os.Getgroups()
	if err != nil {
		groups = nil
	}
	spec := k.spec(folder)
	return service.RootConfig{
		Version: 1, Name: spec.Name, UID: os.Getuid(), GID: os.Getgid(), Groups: groups, User: u.Username, Home: u.HomeDir,
		Program: spec.Program, Args: append(spec.Args, "--under-system"), Until: until,
	}, nil
}

// Leave implements host.Keeper.
func (k *keeper) Leave(folder string) {
	if _, err := os.Lstat(service.RootDir(k.name(folder))); err != nil {
		return
	}
	if err := service.Ask(folder, service.Leave); err != nil {
		k.log.Warn("the system's service was not told", "cause", err)
	}
}

// CanReboot implements host.Keeper.
func (k *keeper) CanReboot(folder string) bool {
	return k.After(folder) != service.Never && len(rebootCommand()) > 0
}

// Reboot implements host.Keeper: by logind, which asks polkit whether this
// person may; else by root's service, which the customer allowed.
func (k *keeper) Reboot(ctx context.Context, folder string) error {
	if k.root {
		if err := service.Ask(folder, service.Restart); err != nil {
			return fault.Wrap(err, fault.Full, "host.reboot", "The program cannot store what it needs.", "Make some room on the disk, then try again.")
		}
		select { // the system ends us before that
		case <-ctx.Done():
		case <-time.After(20 * time.Second):
		}
		return fault.New(fault.Unsupported, "host.reboot", "This computer did not restart.", "Ask the customer to restart it.")
	}
	return reboot(ctx)
}

// rebootCommand restarts the computer. Tests put a program of that name first
// in PATH.
func rebootCommand() []string {
	if p, err := exec.LookPath("systemctl"); err == nil {
		return []string{p, "--no-ask-password", "reboot"}
	}
	return nil
}

func reboot(ctx context.Context) error {
	argv := rebootCommand()
	if argv == nil {
		return fault.New(fault.Unsupported, "host.reboot", "This computer cannot be restarted from here.", "Ask the customer to restart it.")
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fault.Wrap(fmt.Errorf("%w: %.300s", err, out), fault.Denied, "host.reboot", "This computer does not allow a restart from here.", "Ask the customer to restart it.")
	}
	return nil
}

// mayWrite asks the system.
func mayWrite(dir string) bool { return unix.Access(dir, unix.W_OK|unix.X_OK) == nil }

// ---- install ----

// installSystem is "install --system": as root, with the configuration on the
// input.
func installSystem(ctx context.Context, in io.Reader, errOut io.Writer) int {
	err := func() error {
		if os.Getuid() != 0 {
			return fault.New(fault.Denied, "install", "This needs an administrator's rights.", "Press the button in the program's window; the system asks for the password.")
		}
		b, err := io.ReadAll(io.LimitReader(in, 32<<10))
		if err != nil {
			return err
		}
		c, err := service.ParseRootConfig(b)
		if err != nil {
			return err
		}
		for _, k := range []string{"PKEXEC_UID", "SUDO_UID"} { // only for the one who asks
			if v := os.Getenv(k); v != "" && v != strconv.Itoa(c.UID) {
				return fault.New(fault.Denied, "install", "Somebody else asked for this.", "")
			}
		}
		if c.GID, c.Groups, err = service.GroupsOf(ctx, c.UID); err != nil {
			return err
		}
		if latest := time.Now().Add(lease.Limit); c.Until.After(latest) {
			c.Until = latest
		}
		m := service.ForSystem(service.Here())
		if m == nil {
			return fault.New(fault.Unsupported, "install", "This computer does not use systemd.", "")
		}
		dir := service.RootDir(c.Name)
		if old, err := service.LoadRoot(dir); err == nil && old.UID != c.UID {
			return fault.New(fault.Denied, "install", "Somebody else asked for this.", "")
		}
		if err := service.InstallRoot(ctx, m, dir, "/proc/self/exe", c, lease.Now()); err != nil {
			return errors.Join(err, service.RemoveRoot(context.WithoutCancel(ctx), m, c.Name, dir))
		}
		return nil
	}()
	if err != nil {
		say(errOut, err)
		return 1
	}
	return 0
}

// ---- service ----

// serviceSystem is "service --system DIR": root's part.
func serviceSystem(ctx context.Context, dir string, errOut io.Writer, log *slog.Logger) int {
	c, err := service.LoadRoot(dir)
	if err != nil || dir != service.RootDir(c.Name) {
		say(errOut, fault.Wrap(err, fault.Corrupt, "service", "What keeps this computer ready after a restart is damaged.", "Remove "+dir+" and the unit of that name."))
		return 1
	}
	m := service.ForSystem(service.Here())
	if m == nil {
		say(errOut, fault.New(fault.Unsupported, "service", "This computer does not use systemd.", ""))
		return 1
	}
	r := &service.Root{
		Config: c, Dir: dir, Reboot: reboot, Clock: lease.Now, Log: log,
		Remove: func(ctx context.Context) error { return service.RemoveRoot(ctx, m, c.Name, dir) },
	}
	if err := r.Run(ctx); err != nil && ctx.Err() == nil {
		say(errOut, err)
		return 1
	}
	return 0
}

// servicePerson is "service --state FOLDER": it keeps the agent of one session
// going, with the person's rights.
func servicePerson(ctx context.Context, folder, display string, under bool, out, errOut io.Writer, log *slog.Logger) int {
	if !filepath.IsAbs(folder) || filepath.Clean(folder) != folder {
		printText(errOut, usage)
		return 2
	}
	only, err := os.OpenFile(filepath.Join(folder, "service.lock"), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return 0 // the session is over and everything gone
		}
		say(errOut, err)
		return 1
	}
	defer only.Close()
	if err := syscall.Flock(int(only.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil && !under {
		log.Info("another service keeps this session")
		return 0
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if under {
		go func() { // passes on what the agent asks root for; ends with ctx
			for t := time.NewTicker(250 * time.Millisecond); ; {
				select {
				case <-ctx.Done():
					t.Stop()
					return
				case <-t.C:
					if v, ok := service.Asked(folder); ok {
						printLine(out, string(v))
					}
				}
			}
		}()
	}
	base := filepath.Dir(folder)
	s := &service.Supervisor{
		Wanted:  func() bool { st, err := os.Lstat(folder); return err == nil && st.IsDir() },
		Held:    func() bool { return host.Held(base, display) },
		Desktop: func() (service.Desktop, bool) { return service.FindDesktop(os.Getuid(), os.Getenv("DISPLAY")) },
		Start: func(ctx context.Context, d *service.Desktop) (service.Agent, error) {
			cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(folder, programName), "agent", "--state", folder, "--display", display)
			cmd.Dir = "/"
			cmd.Env = []string{service.MarkEnv + "=1"}
			if under {
				cmd.Env = append(cmd.Env, rootEnv+"=1")
			}
			for _, k := range []string{"HOME", "USER", "LOGNAME", "PATH", "LANG", "LC_ALL", "TMPDIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"} {
				if v := os.Getenv(k); v != "" {
					cmd.Env = append(cmd.Env, k+"="+v)
				}
			}
			if d != nil {
				cmd.Env = append(cmd.Env, d.Env...) // the later one counts
			}
			cmd.Stderr = errOut
			return service.Launch(cmd)
		},
		Log: log,
	}
	if err := s.Run(ctx); err != nil && ctx.Err() == nil {
		say(errOut, err)
		return 1
	}
	return 0
}
