// Command hostsvc is the program on the customer's computer: one executable
// that is downloaded, run once, and removes itself when the session is over.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"image"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"daypass/backend/fault"
	"daypass/backend/pairing"
	"daypass/backend/peer"
	"daypass/backend/rendezvous"
	"daypass/backend/version"
	"daypass/hostsvc/clip"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/encode"
	"daypass/hostsvc/host"
	"daypass/hostsvc/input"
	"daypass/hostsvc/lease"
	"daypass/hostsvc/screen"
	"daypass/hostsvc/verify"
)

const usage = `Daypass, the program on the computer that is helped.

  run [--headless] [--view auto|gtk|x11|tty]   take part in a session (without a verb as well)
        --headless   reads the link, then the code, one line each, instead of showing a window
                     to type them in, and prints one line of JSON a change
  install                                      keep the session that goes on here ready after a restart
  uninstall                                    remove what an interrupted session left
  service, agent                               what install keeps ready; nobody starts them by hand
  verify FILE                                  check a receipt that was kept (the file that ends in .json); needs no network
  selftest                                     check whether this computer can be helped
  version                                      print the version

  --verbose   with any of them: tell more on standard error
`

func main() {
	attach()
	if !lab && (len(os.Args) < 2 || os.Args[1] == "run" || (strings.HasPrefix(os.Args[1], "-") && os.Args[1] != "-h" && os.Args[1] != "--help")) {
		relocate(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	}
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code. 0: done, 1: it
// could not be done, 2: wrong call.
func run(args []string, in io.Reader, out, errOut io.Writer) int {
	verb := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	headless := flags.Bool("headless", false, "")
	view := flags.String("view", consent.KindAuto, "")
	verbose := flags.Bool("verbose", false, "")
	state := flags.String("state", "", "")   // of service and agent: the session's folder
	system := flags.String("system", "", "") // of service: root's folder
	shown := flags.String("display", "", "") // of service and agent: the name under which the session lies
	under := flags.Bool("under-system", false, "")
	elevated := false
	if verb == "install" { // a word without a value there
		flags.BoolVar(&elevated, "as-system", false, "")
		for i, a := range args {
			if a == "--system" {
				args[i] = "--as-system"
			}
		}
	}
	if err := flags.Parse(args); err != nil || (flags.NArg() > 0) != (verb == "verify") || flags.NArg() > 1 {
		if errors.Is(err, flag.ErrHelp) {
			printText(out, usage)
			return 0
		}
		printText(errOut, usage)
		return 2
	}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: level}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if lab {
		printLine(errOut, "This is a lab build: with --headless the customer sees no bar. It must not be given to customers.")
	}
	switch verb {
	case "run":
		return session(ctx, *headless, *view, in, out, errOut, log)
	case "agent":
		return agent(ctx, *state, *shown, errOut, log)
	case "service":
		if *system != "" {
			return serviceSystem(ctx, *system, errOut, log)
		}
		return servicePerson(ctx, *state, *shown, *under, out, errOut, log)
	case "install":
		if elevated {
			return installSystem(ctx, in, errOut)
		}
		return install(ctx, out, errOut, log)
	case "uninstall":
		return uninstall(ctx, out, errOut, log)
	case "verify":
		return verify.Receipt(flags.Arg(0), language(), out, errOut)
	case "selftest":
		return selftest(out, log)
	case "version":
		printLine(out, version.Version)
		return 0
	case "help":
		printText(out, usage)
		return 0
	}
	printText(errOut, usage)
	return 2
}

// printText and printLine write for people; that nobody can read it is nothing
// the program could tell anybody.
func printText(w io.Writer, text string) { _, _ = io.WriteString(w, text) }
func printLine(w io.Writer, line string) { printText(w, line+"\n") }

func say(w io.Writer, err error) {
	f := fault.Of(err)
	printLine(w, strings.TrimSpace(consent.Native(f.Message, language())+" "+consent.Native(f.Hint, language())))
}

// session is the verb run.
func session(ctx context.Context, headless bool, kind string, in io.Reader, out, errOut io.Writer, log *slog.Logger) int {
	var v consent.View
	var typed <-chan struct{}
	var err error
	if headless {
		if !lab {
			if v, err = consent.Open(consent.KindNone, "", log); err != nil {
				say(errOut, err)
				return 1
			}
		}
		h := host.NewHeadless(in, out, v)
		v, typed = h, h.InputEnded()
	} else if v, err = consent.Open(kind, "", log); err != nil {
		say(errOut, err)
		alert(err)
		return 1
	}
	cfg := config(log)
	w, tidy := started()
	defer tidy()
	if l, err := pairing.ParseLink(w.Link); err == nil {
		cfg.Link = &l
	}
	cfg.Renamed, cfg.Program = w.Renamed, w.Program
	cfg.View, cfg.Typed = v, typed
	err = host.Run(ctx, cfg)
	if cerr := v.Close(); cerr != nil {
		log.Debug("window not closed", "cause", cerr)
	}
	if err != nil {
		say(errOut, err)
		return 1
	}
	return 0
}

// config is this computer.
func config(log *slog.Logger) host.Config {
	cfg := host.Config{
		Base: base(), Display: displayName(), Version: version.Version, Lab: lab, Log: log,
		Marks:       func() map[string][]string { return marks(log) },
		ReceiptPath: func() string { return consent.ReceiptPath(language()) },
		System: host.System{
			Report:    report,
			Displays:  func() error { return displays(log) },
			Screen:    func() (screen.Source, error) { return screen.Default(log) },
			Injector:  func() (host.Injector, error) { return input.Default(log) },
			Clipboard: func() (host.Clipboard, error) { return clip.Default(log) },
			Serve: func(ctx context.Context, src screen.Source, display uint32, to host.Sender, feedback <-chan []byte, log *slog.Logger) error {
				return encode.Serve(ctx, src, display, to, feedback, log)
			},
			Connect: func(c rendezvous.HostConfig) host.Mailbox { return rendezvous.DialHost(c) },
			Listen:  func(ctx context.Context, c peer.Config) host.Link { return peer.Listen(ctx, c) },
			Clock:   lease.Now,
		},
	}
	cfg.Keep = newKeeper(cfg.Base, log)
	return cfg
}

// agent is the verb agent: it takes up the session in folder state, whose
// display was called so when it began. The service starts it, in the desktop of
// whoever is signed in, or without one.
func agent(ctx context.Context, state, display string, errOut io.Writer, log *slog.Logger) int {
	if !filepath.IsAbs(state) || display == "" {
		printText(errOut, usage)
		return 2
	}
	cfg := config(log)
	cfg.Base, cfg.Display, cfg.Resume = filepath.Dir(state), display, true
	cfg.Keep = newKeeper(cfg.Base, log)
	sweepStarts(cfg.Base) // of a start that a power cut ended
	var v consent.View
	var err error
	if os.Getenv("DISPLAY") == "" {
		cfg.NoDesktop = fault.New(fault.Unsupported, "host.desktop", "Nobody is signed in on the remote computer.", "Remote Control opens by itself when the customer signs in.")
	} else if err = cfg.System.Displays(); err == nil {
		v, err = consent.Open(consent.KindAuto, "", log)
	}
	if err != nil {
		f := fault.Of(err)
		cfg.NoDesktop = fault.Wrap(err, f.Kind, "host.desktop", "The desktop on the remote computer cannot be shown. "+f.Message, f.Hint)
	}
	if v == nil { // nothing is shown and nothing can be opened without a desktop
		v = host.NewHeadless(strings.NewReader(""), io.Discard, nil)
	}
	cfg.View = v
	err = host.Run(ctx, cfg)
	if cerr := v.Close(); cerr != nil {
		log.Debug("window not closed", "cause", cerr)
	}
	if err != nil {
		say(errOut, err)
		return 1
	}
	return 0
}

// install is the verb install: it keeps a session that goes on here ready after
// a restart, where that was not done or was undone by hand.
func install(ctx context.Context, out, errOut io.Writer, log *slog.Logger) int {
	cfg := config(log)
	n, err := host.Reinstall(ctx, cfg)
	switch {
	case err != nil:
		say(errOut, err)
		return 1
	case n == 0:
		printLine(errOut, "No session goes on here. Open the program that came with your invitation.")
		return 1
	}
	printLine(out, "The session that goes on here comes back after a restart.")
	return 0
}

// displays refuses what cannot work on this computer.
func displays(log *slog.Logger) error {
	s, err := screen.Default(log)
	if err != nil {
		return err
	}
	defer closing(s, log)
	_, err = s.Displays()
	return err
}

func closing(c io.Closer, log *slog.Logger) {
	if err := c.Close(); err != nil {
		log.Debug("not closed", "cause", err)
	}
}

// base is the folder for lock and state: this user's own, where a restart leaves
// it, else the session's runtime folder, which the system empties at logout,
// else one of this user's alone.
func base() string {
	if d := home(); d != "" {
		return d
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(d) {
		if st, err := os.Stat(d); err == nil && st.IsDir() {
			return filepath.Join(d, "daypass")
		}
	}
	if runtime.GOOS == "windows" {
		if d, err := os.UserCacheDir(); err == nil {
			return filepath.Join(d, "Daypass")
		}
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("daypass-%d", os.Getuid()))
}

// home is the folder for state that lasts; "" where there is none. Its parent
// exists always: nothing but this one folder is made.
func home() string {
	if runtime.GOOS == "windows" {
		return ""
	}
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) && writable(d) {
		return filepath.Join(d, "daypass")
	}
	h, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(h) || !writable(h) {
		return ""
	}
	if d := filepath.Join(h, ".local", "state"); writable(d) {
		return filepath.Join(d, "daypass")
	}
	return filepath.Join(h, ".daypass")
}

// lasting reports whether what lies in base survives a restart.
func lasting(base string) bool {
	runs := os.Getenv("XDG_RUNTIME_DIR")
	return filepath.IsAbs(base) && (runs == "" || !strings.HasPrefix(base, runs+string(filepath.Separator))) &&
		base != filepath.Join(os.TempDir(), fmt.Sprintf("daypass-%d", os.Getuid()))
}

// writable reports whether dir is a folder that this user may put something in.
func writable(dir string) bool {
	st, err := os.Stat(dir)
	return err == nil && st.IsDir() && mayWrite(dir)
}

// displayName tells the displays of one user apart; screens of one display
// (":0.1") share it.
func displayName() string {
	d := os.Getenv("DISPLAY")
	if i := strings.LastIndexByte(d, '.'); i > strings.LastIndexByte(d, ':') {
		d = d[:i]
	}
	if d == "" {
		return "none"
	}
	return d
}

// language is the customer's: "de" or "en".
func language() string { return consent.Language("") }

func uninstall(ctx context.Context, out, errOut io.Writer, log *slog.Logger) int {
	reports, err := host.Uninstall(ctx, config(log))
	sweepStarts(base())
	if err != nil {
		say(errOut, err)
		return 1
	}
	code := 0
	for _, r := range reports {
		for _, l := range r.Lines() {
			printLine(out, l)
		}
		if !r.Clean {
			code = 1
		}
	}
	if len(reports) == 0 {
		printLine(out, "Nothing is left of earlier sessions.")
	}
	return code
}

// selftest tries everything that a session needs from this computer.
func selftest(out io.Writer, log *slog.Logger) int {
	failed := 0
	check := func(what string, f func() (string, error)) {
		detail, err := f()
		if err != nil {
			failed++
			printLine(out, fmt.Sprintf("FAIL  %-10s %v", what, fault.Of(err)))
			return
		}
		printLine(out, fmt.Sprintf("ok    %-10s %s", what, detail))
	}
	check("program", func() (string, error) {
		return fmt.Sprintf("version %s, %s/%s", version.Version, runtime.GOOS, runtime.GOARCH), nil
	})
	check("folder", func() (string, error) { return base(), nil })
	check("clock", func() (string, error) {
		c := lease.Now()
		if c.Boot == "" || c.Mono <= 0 {
			return "", fault.New(fault.Unsupported, "selftest", "The time since the computer was started is not known.", "")
		}
		return "on for " + c.Mono.Round(time.Second).String(), nil
	})
	check("screen", func() (string, error) {
		s, err := screen.Default(log)
		if err != nil {
			return "", err
		}
		defer closing(s, log)
		list, err := s.Displays()
		if err != nil {
			return "", err
		}
		c, err := s.Open(0)
		if err != nil {
			return "", err
		}
		defer closing(c, log)
		d := c.Display()
		f := screen.NewFrame(d.Bounds.Dx(), d.Bounds.Dy())
		begin := time.Now()
		if err := c.Grab(f, []image.Rectangle{f.Bounds()}); err != nil {
			return "", err
		}
		return fmt.Sprintf("%d displays, %d × %d read in %v", len(list), f.W, f.H, time.Since(begin).Round(time.Millisecond/10)), nil
	})
	check("input", func() (string, error) {
		i, err := input.Default(log)
		if err != nil {
			return "", err
		}
		return "mouse and keyboard can be used", i.Close()
	})
	check("clipboard", func() (string, error) {
		c, err := clip.Default(log)
		if err != nil {
			return "", err
		}
		return "text can be exchanged", c.Close()
	})
	if failed > 0 {
		return 1
	}
	return 0
}
