// Command daypass is the technician's console: one native window over
// backend/console, with a signaling server of its own inside for a first run.
// This package is the only importer of Wails and wires the parts together; it
// must not decide anything about a session.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/wailsapp/wails/v2"
	"github.com/wailsapp/wails/v2/pkg/logger"
	"github.com/wailsapp/wails/v2/pkg/options"
	"github.com/wailsapp/wails/v2/pkg/options/assetserver"
	"github.com/wailsapp/wails/v2/pkg/options/linux"

	"daypass/backend/account"
	"daypass/backend/console"
	"daypass/backend/desk"
	"daypass/backend/fault"
	"daypass/backend/version"
	"daypass/backend/view"
)

func main() {
	if err := run(); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		e := fault.Of(err)
		fmt.Fprintln(os.Stderr, "daypass: "+e.Message)
		if e.Hint != "" {
			fmt.Fprintln(os.Stderr, e.Hint)
		}
		if e.Err != nil {
			fmt.Fprintln(os.Stderr, "("+e.Err.Error()+")")
		}
		os.Exit(1)
	}
}

// flags are what the command line says.
type flags struct {
	profile string
	lab     labFlags
}

func run() error {
	var f flags
	fl := flag.NewFlagSet("daypass", flag.ContinueOnError)
	fl.StringVar(&f.profile, "profile", "", "`folder` of the profile (default: $DAYPASS_HOME, or daypass in your configuration folder)")
	f.lab.define(fl)
	if err := fl.Parse(os.Args[1:]); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fault.Wrap(err, fault.Invalid, "main", "This option is not known.", "daypass --help lists them.")
	}
	if fl.NArg() > 0 {
		return fault.New(fault.Invalid, "main", "There is an argument too many: "+fl.Arg(0)+".", "daypass --help lists the options.")
	}
	if err := f.lab.check(); err != nil {
		return err
	}

	if err := screen(); err != nil {
		return err
	}

	dir, cleanup, err := f.profileDir()
	if err != nil {
		return err
	}
	defer cleanup()
	log, logPath, closeLog := openLog(dir)
	defer closeLog()
	log.Info("daypass starts", "version", version.Version, "profile", dir)

	// A profile that cannot be used is shown in the window, in words: the
	// person clicked an icon and reads no terminal.
	release, fatal := lockProfile(dir)
	defer release()
	if fatal != nil {
		log.Error("profile not usable", "error", fatal)
	}

	viewer, err := view.New(view.Config{Origins: viewOrigins(), Log: log})
	if err != nil {
		return err
	}
	defer viewer.Close()

	a := &app{log: log}
	cfg := desk.Config{
		Dir: dir, Version: version.Version, Lab: lab, Log: log, Fatal: fatal,
		Vault: account.New(dir, nil), System: a, LANAddresses: lanAddresses, Notify: a.notify,
		OpenView: func(src desk.Source, input func([]byte) error) (desk.Stream, desk.Ticket, error) {
			s, t := viewer.Open(src, input)
			return stream{s}, desk.Ticket(t), nil
		},
	}
	embedServer(&cfg, log)
	d := desk.New(cfg)
	a.desk = d
	services := console.New(d, a, console.About{Version: version.Version, Licences: licences(), LogPath: logPath}, systemChecks)

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	a.toldToEnd = make(chan os.Signal, 1)
	a.hearSignals()
	go func() {
		select {
		case <-a.toldToEnd:
			stop()
			a.quitNow()
		case <-ctx.Done():
		}
	}()
	f.lab.start(ctx, d, a)

	err = open(windowOptions(a, services, viewer, f))
	stop()
	d.Close()
	log.Info("daypass ends")
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && a.failed != nil {
		return a.failed
	}
	return err
}

// screen says whether there is one to show a window on: started without, GTK
// ends the program with a list of goroutines.
func screen() error {
	if runtime.GOOS != "linux" || os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "" {
		return nil
	}
	return fault.New(fault.Unsupported, "main", "There is no screen to show the window on: DISPLAY is not set.",
		"Log in to a graphical session and start Daypass there. Over SSH, connect with ssh -X.")
}

// open shows the window and stays until it is closed.
func open(o *options.App) (err error) {
	defer func() {
		// What Wails does when GTK refuses the screen that DISPLAY names.
		if p := recover(); p != nil {
			if fmt.Sprint(p) != "failed to init GTK" {
				panic(p)
			}
			err = fault.New(fault.Unsupported, "main", "The screen "+cmp.Or(os.Getenv("DISPLAY"), os.Getenv("WAYLAND_DISPLAY"))+" cannot be used.",
				"Start Daypass as the person who is logged in to that screen. If you became another user with su or sudo, go back to your own.")
		}
	}()
	if err := wails.Run(o); err != nil {
		return fault.Wrap(err, fault.Unsupported, "main", "The window could not be opened.", "Daypass needs a graphical session and WebKitGTK 4.1.")
	}
	return nil
}

// The window's size at the start, in pixels of the page.
const windowWidth, windowHeight = 1280, 800

func windowOptions(a *app, services console.Services, viewer *view.Server, f flags) *options.App {
	o := &options.App{
		Title: "Daypass", Width: windowWidth, Height: windowHeight, MinWidth: 960, MinHeight: 640,
		BackgroundColour: options.NewRGB(0xfa, 0xf9, 0xf6),
		AssetServer: &assetserver.Options{
			Assets:     page(),
			Middleware: func(next http.Handler) http.Handler { return secured(mounted(viewer.Handler(), next)) },
		},
		OnStartup: a.startup, OnDomReady: a.domReady, OnBeforeClose: a.beforeClose,
		Bind: services.Bind(), Logger: wailsLog{a.log}, LogLevel: logger.WARNING, LogLevelProduction: logger.WARNING,
		EnableDefaultContextMenu: false, DragAndDrop: &options.DragAndDrop{DisableWebViewDrop: true},
		Linux: &linux.Options{ProgramName: "daypass", WebviewGpuPolicy: gpuPolicy(), Icon: icon},
	}
	f.lab.window(o)
	return o
}

// page is the built page; the fallback keeps builds without one honest.
func page() fs.FS {
	sub, err := fs.Sub(dist, "frontend/dist")
	if err != nil {
		return dist
	}
	return sub
}

// mounted puts the stream of the picture beside the page's files.
func mounted(viewer, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, view.Prefix) {
			viewer.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// gpuPolicy leaves the GPU alone where there is none: software GL paints the
// page at a third of the speed of no GL at all.
func gpuPolicy() linux.WebviewGpuPolicy {
	nodes, err := filepath.Glob("/dev/dri/renderD*")
	if err != nil || len(nodes) == 0 {
		return linux.WebviewGpuPolicyNever
	}
	return linux.WebviewGpuPolicyOnDemand
}

// profileDir finds or makes the folder of the profile. cleanup removes one that
// is of no use afterwards.
func (f flags) profileDir() (string, func(), error) {
	none := func() {}
	dir := f.profile
	if lab && dir == "" {
		d, err := os.MkdirTemp("", "daypass-lab-")
		if err != nil {
			return "", none, fault.Wrap(err, fault.Full, "main", "There is no place for temporary files.", "Check TMPDIR.")
		}
		return d, func() { os.RemoveAll(d) }, nil
	}
	if dir == "" {
		dir = os.Getenv("DAYPASS_HOME")
	}
	if dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return "", none, fault.Wrap(err, fault.Unsupported, "main", "Your configuration folder is not known.", "Set HOME, or give --profile.")
		}
		name := "daypass"
		if runtime.GOOS == "windows" {
			name = "Daypass"
		}
		dir = filepath.Join(base, name)
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", none, fault.Wrap(err, fault.Denied, "main", "The profile folder cannot be made.", "Check the rights of "+dir+", or give another with --profile.")
	}
	return dir, none, nil
}

// openLog writes to a file in the profile, the one of the run before kept
// beside it, and to standard error what someone must act upon.
func openLog(dir string) (*slog.Logger, string, func()) {
	path := filepath.Join(dir, "daypass.log")
	level := slog.LevelInfo
	if os.Getenv("DAYPASS_DEBUG") != "" {
		level = slog.LevelDebug
	}
	file, err := openLogFile(path)
	if err != nil {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})), "", func() {}
	}
	return slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: level})), path, file.close
}

// wailsLog passes what Wails says to our log.
type wailsLog struct{ log *slog.Logger }

func (l wailsLog) Print(m string)   { l.log.Debug(m) }
func (l wailsLog) Trace(m string)   { l.log.Debug(m) }
func (l wailsLog) Debug(m string)   { l.log.Debug(m) }
func (l wailsLog) Info(m string)    { l.log.Debug(m) }
func (l wailsLog) Warning(m string) { l.log.Warn(m) }
func (l wailsLog) Error(m string)   { l.log.Error(m) }
func (l wailsLog) Fatal(m string)   { l.log.Error(m) }
