package clip

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf16"
	"unsafe"

	"daypass/backend/fault"

	"golang.org/x/sys/windows"
)

var (
	user32          = windows.NewLazySystemDLL("user32.dll")
	kernel32        = windows.NewLazySystemDLL("kernel32.dll")
	procOpen        = user32.NewProc("OpenClipboard")
	procClose       = user32.NewProc("CloseClipboard")
	procEmpty       = user32.NewProc("EmptyClipboard")
	procGetData     = user32.NewProc("GetClipboardData")
	procSetData     = user32.NewProc("SetClipboardData")
	procAvailable   = user32.NewProc("IsClipboardFormatAvailable")
	procGlobalAlloc = kernel32.NewProc("GlobalAlloc")
	procGlobalFree  = kernel32.NewProc("GlobalFree")
	procGlobalLock  = kernel32.NewProc("GlobalLock")
	procUnlock      = kernel32.NewProc("GlobalUnlock")
	procGlobalSize  = kernel32.NewProc("GlobalSize")
	procMove        = kernel32.NewProc("RtlMoveMemory")
)

const (
	formatUnicode = 13     // CF_UNICODETEXT
	moveable      = 0x0002 // GMEM_MOVEABLE
)

// Default returns the clipboard of the desktop this process runs on.
func Default(log *slog.Logger) (Clipboard, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &win{log: log}, nil
}

type win struct {
	log    *slog.Logger
	closed atomic.Bool
}

// turn is taken by who uses the clipboard in this process: without a window of
// its own, the system does not tell one thread of a process from another.
var turn = make(chan struct{}, 1)

// open runs f with the clipboard open. Another program may hold it for a
// moment, so it is tried until ctx ends, at most a second. The clipboard
// belongs to a thread.
func (w *win) open(ctx context.Context, f func() error) error {
	if w.closed.Load() {
		return errClosed
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Conflict, "clipboard", "Another program holds the customer's clipboard.", "Try again.")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for {
		ok, _, err := procOpen.Call(0)
		if ok != 0 {
			break
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fault.Wrap(err, fault.Conflict, "clipboard", "Another program holds the customer's clipboard.", "Try again.")
		}
	}
	defer func() {
		if ok, _, err := procClose.Call(); ok == 0 {
			w.log.Warn("closing the clipboard", "err", err)
		}
	}()
	return f()
}

func failed(err error) error {
	return fault.Wrap(err, fault.Internal, "clipboard", "The customer's clipboard cannot be used.", "Try again.")
}

func (w *win) Get(ctx context.Context) (text string, err error) {
	err = w.open(ctx, func() error {
		if ok, _, _ := procAvailable.Call(formatUnicode); ok == 0 {
			return errEmpty
		}
		h, _, err := procGetData.Call(formatUnicode)
		if h == 0 {
			return silent(err)
		}
		size, _, _ := procGlobalSize.Call(h)
		if size/2 > 2*MaxText {
			return errLarge
		}
		p, _, err := procGlobalLock.Call(h)
		if p == 0 {
			return failed(err)
		}
		units := make([]uint16, size/2)
		if len(units) > 0 {
			procMove.Call(uintptr(unsafe.Pointer(&units[0])), p, uintptr(len(units)*2))
		}
		procUnlock.Call(h) // 0 is its success
		text = windows.UTF16ToString(units)
		return nil
	})
	if err != nil {
		return "", err
	}
	return clean(text)
}

func (w *win) Set(ctx context.Context, text string) error {
	if len(text) > MaxText {
		return errTooMuch
	}
	text = strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "�")
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
	units := append(utf16.Encode([]rune(text)), 0)
	return w.open(ctx, func() error {
		if ok, _, err := procEmpty.Call(); ok == 0 {
			return failed(err)
		}
		h, _, err := procGlobalAlloc.Call(moveable, uintptr(len(units)*2))
		if h == 0 {
			return failed(err)
		}
		free := func(cause error) error {
			if left, _, err := procGlobalFree.Call(h); left != 0 {
				cause = errors.Join(cause, err)
			}
			return failed(cause)
		}
		p, _, err := procGlobalLock.Call(h)
		if p == 0 {
			return free(err)
		}
		procMove.Call(p, uintptr(unsafe.Pointer(&units[0])), uintptr(len(units)*2))
		procUnlock.Call(h) // 0 is its success
		if set, _, err := procSetData.Call(formatUnicode, h); set == 0 {
			return free(err)
		}
		return nil // the memory is the system's now
	})
}

func (w *win) Close() error {
	w.closed.Store(true)
	return nil
}
