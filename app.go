package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	wails "github.com/wailsapp/wails/v2/pkg/runtime"

	"daypass/backend/console"
	"daypass/backend/desk"
	"daypass/backend/mail"
	"daypass/backend/view"
)

// app is the window: what the desk and the services need of it. None of its
// methods is bound to the page.
type app struct {
	log  *slog.Logger
	desk *desk.Desk

	mu     sync.Mutex // guards all following
	ctx    context.Context
	ready  bool // the page listens
	german bool
	failed error // why the program ends, when it failed

	toldToEnd chan os.Signal // by the system or from a terminal

	leaving atomic.Bool // the person said yes, or a signal came
	asking  atomic.Bool

	notifying sync.Mutex // guards notifies
	notifies  bool       // the system's notifications are prepared
}

var (
	_ desk.System    = (*app)(nil)
	_ console.Window = (*app)(nil)
)

// hearSignals makes this program the only one who hears that it is to end.
// Wails listens as well and would close the window as its button does, which
// asks: nobody is there to answer.
func (a *app) hearSignals() {
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	signal.Notify(a.toldToEnd, os.Interrupt, syscall.SIGTERM)
}

func (a *app) startup(ctx context.Context) {
	a.hearSignals()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ctx = ctx
	if a.leaving.Load() {
		wails.Quit(ctx)
		return
	}
	if !lab {
		go fit(ctx)
	}
}

// fit gives the window the whole screen where it would not fit on it with the
// frame and a panel around it.
func fit(ctx context.Context) {
	screens, err := wails.ScreenGetAll(ctx)
	if err != nil {
		return // it stays as it is
	}
	for _, s := range screens {
		if s.IsCurrent && (s.Size.Width < windowWidth+8 || s.Size.Height < windowHeight+64) {
			wails.WindowMaximise(ctx)
		}
	}
}

// sideButton tells the page of a mouse button that its web view keeps from it.
func (a *app) sideButton(button int, down bool) {
	a.mu.Lock()
	ctx, ready := a.ctx, a.ready
	a.mu.Unlock()
	if ready && ctx != nil && !a.leaving.Load() {
		wails.EventsEmit(ctx, "side-button", button, down)
	}
}

func (a *app) domReady(context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.ready {
		watchSideButtons(a.sideButton)
	}
	a.ready = true
}

func (a *app) context() context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ctx
}

// Emit gives the page a snapshot. Before it listens there is nothing to give:
// it asks for the first one itself.
func (a *app) Emit(s desk.Snapshot) {
	a.mu.Lock()
	ctx := a.ctx
	ready := a.ready
	a.german = s.Settings.Language == mail.German
	a.mu.Unlock()
	if ready && ctx != nil && !a.leaving.Load() {
		wails.EventsEmit(ctx, "snapshot", s)
	}
}

// ClipboardText reads the system's clipboard.
func (a *app) ClipboardText() (string, error) {
	ctx := a.context()
	if ctx == nil {
		return "", errNoWindow
	}
	return bounded(func() (string, error) { return wails.ClipboardGetText(ctx) })
}

// SetClipboardText writes the system's clipboard.
func (a *app) SetClipboardText(text string) error {
	ctx := a.context()
	if ctx == nil {
		return errNoWindow
	}
	_, err := bounded(func() (string, error) { return "", wails.ClipboardSetText(ctx, text) })
	return err
}

// bounded gives up waiting after 3 s: another program that owns the clipboard
// may not answer.
func bounded(f func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	ch := make(chan result, 1)
	go func() {
		t, err := f()
		ch <- result{t, err}
	}()
	select {
	case r := <-ch:
		return r.text, r.err
	case <-time.After(3 * time.Second):
		return "", errSlow
	}
}

// OpenMail opens the mail program.
func (a *app) OpenMail(address string) error {
	ctx := a.context()
	if ctx == nil {
		return errNoWindow
	}
	return openMail(ctx, address)
}

// Fullscreen takes or leaves the whole screen.
func (a *app) Fullscreen(on bool) {
	ctx := a.context()
	switch {
	case ctx == nil:
	case on:
		wails.WindowFullscreen(ctx)
	default:
		wails.WindowUnfullscreen(ctx)
	}
}

// Quit closes the window as its close button does.
func (a *app) Quit() {
	if ctx := a.context(); ctx != nil {
		wails.Quit(ctx)
	}
}

// quitNow closes without asking.
func (a *app) quitNow() {
	a.leaving.Store(true)
	a.Quit()
}

// Confirm asks natively.
func (a *app) Confirm(title, question, yes string) bool {
	ctx := a.context()
	if ctx == nil {
		return false
	}
	answer, err := wails.MessageDialog(ctx, wails.MessageDialogOptions{
		Type: wails.QuestionDialog, Title: title, Message: question, Buttons: []string{yes, "No"}, DefaultButton: "No", CancelButton: "No",
	})
	if err != nil {
		a.log.Warn("dialog", "error", err)
		return false
	}
	return answer == "Yes" || answer == yes
}

// SaveFile asks natively where to save.
func (a *app) SaveFile(title, name string) (string, error) {
	ctx := a.context()
	if ctx == nil {
		return "", errNoWindow
	}
	return wails.SaveFileDialog(ctx, wails.SaveDialogOptions{Title: title, DefaultFilename: name})
}

// OpenFile asks natively for a file.
func (a *app) OpenFile(title, pattern string) (string, error) {
	ctx := a.context()
	if ctx == nil {
		return "", errNoWindow
	}
	return wails.OpenFileDialog(ctx, wails.OpenDialogOptions{Title: title, Filters: []wails.FileFilter{{DisplayName: pattern, Pattern: pattern}}})
}

// beforeClose asks when a session would go on without its console. It says what
// happens to it, which is: nothing.
func (a *app) beforeClose(context.Context) (prevent bool) {
	if a.leaving.Load() {
		return false
	}
	n := a.desk.LiveSessions()
	if n == 0 {
		a.leaving.Store(true)
		return false
	}
	if !a.asking.CompareAndSwap(false, true) {
		return true // asked already
	}
	defer a.asking.Store(false)
	a.mu.Lock()
	german := a.german
	a.mu.Unlock()
	what, title := "A session is running. It goes on without this window, and Daypass finds it again at the next start.", "Close Daypass?"
	if n > 1 {
		what = fmt.Sprintf("%d sessions are running. They go on without this window, and Daypass finds them again at the next start.", n)
	}
	question, yes := what+"\n\nClose the window?", "Close"
	if german {
		title, yes = "Daypass schließen?", "Schließen"
		what = "Eine Sitzung läuft. Sie läuft ohne dieses Fenster weiter, und Daypass findet sie beim nächsten Start wieder."
		if n > 1 {
			what = fmt.Sprintf("%d Sitzungen laufen. Sie laufen ohne dieses Fenster weiter, und Daypass findet sie beim nächsten Start wieder.", n)
		}
		question = what + "\n\nDas Fenster schließen?"
	}
	if !a.Confirm(title, question, yes) {
		return true
	}
	a.leaving.Store(true)
	return false
}

// stream adapts a view's stream.
type stream struct{ *view.Stream }

// Paint returns how long the page takes to paint a frame.
func (s stream) Paint() time.Duration { return s.Stats().PaintMean }
