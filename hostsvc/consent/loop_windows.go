package consent

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/windows"

	injector "daypass/hostsvc/input"
)

// proc handles a message. It returns false for what the system should do
// itself.
type proc func(m uint32, w, l uintptr) (uintptr, bool)

// entry is one window of ours, or a control whose own procedure is old.
type entry struct {
	f   proc
	old uintptr
}

// procs are all windows. A window is used by its loop's thread alone, but two
// loops share the table.
var procs = struct {
	sync.Mutex
	m map[hwnd]entry
}{m: map[hwnd]entry{}}

// dispatch is the procedure of every window here: callbacks can never be given
// back, so there is one.
var dispatch = sync.OnceValue(func() uintptr {
	return windows.NewCallback(func(h hwnd, m uint32, w, l uintptr) uintptr {
		procs.Lock()
		e := procs.m[h]
		if m == wmNcDestroy {
			delete(procs.m, h)
		}
		procs.Unlock()
		if e.f != nil {
			if r, done := e.f(m, w, l); done {
				return r
			}
		}
		if e.old != 0 {
			return call(procCallWindowProc, e.old, uintptr(h), uintptr(m), w, l)
		}
		return call(procDefWindowProc, uintptr(h), uintptr(m), w, l)
	})
})

const className = "DaypassCustomer"

// register makes the window class, once a process.
var register = sync.OnceValue(func() error {
	var instance windows.Handle
	if err := windows.GetModuleHandleEx(0, nil, &instance); err != nil {
		return fmt.Errorf("consent: module: %w", err)
	}
	icc := [2]uint32{8, 0x20 | 0x4000} // progress, standard classes
	call(procInitControls, uintptr(unsafe.Pointer(&icc)))
	c := wndClass{proc: dispatch(), instance: uintptr(instance), name: wide(className), cursor: call(procLoadCursor, 0, 32512)}
	c.size = uint32(unsafe.Sizeof(c))
	c.icon = call(procLoadImage, uintptr(instance), uintptr(unsafe.Pointer(wide("APP"))), 1, 0, 0, 0x40|0x8000) // default size, shared
	if c.icon == 0 {
		c.icon = call(procLoadImage, 0, 32512, 1, 0, 0, 0x40|0x8000)
	}
	if r, _, err := procRegisterClass.Call(uintptr(unsafe.Pointer(&c))); r == 0 {
		return fmt.Errorf("consent: window class: %w", err)
	}
	return nil
})

// newWindow makes a window of ours, or of a class of the system's.
func newWindow(class, title string, style, ex uint32, parent hwnd, id int, f proc) hwnd {
	h := hwnd(call(procCreateWindow, uintptr(ex), uintptr(unsafe.Pointer(wide(class))), uintptr(unsafe.Pointer(wide(title))), uintptr(style),
		0, 0, 10, 10, uintptr(parent), uintptr(id), 0, 0))
	if h == 0 {
		return 0
	}
	e := entry{f: f}
	if f == nil && class != className {
		return h
	}
	procs.Lock()
	defer procs.Unlock()
	if class != className {
		i := gwlProc
		e.old = call(procSetWindowLong, uintptr(h), uintptr(i), dispatch())
	}
	procs.m[h] = e
	return h
}

// loop is a thread of the system with a queue of messages and the windows that
// it made. Everything of a window is done there.
type loop struct {
	log  *slog.Logger
	p    *presenter
	keys func(m *msg) bool // before the system's own use of the keyboard; true: used
	main func() hwnd       // whose controls the keyboard goes through; 0 none
	done chan struct{}

	mu      sync.Mutex // guards all following
	box     hwnd       // takes wmWork, also while a dialog has the thread
	queue   []func()
	stopped bool
}

// startLoop starts a thread, runs build on it and then its messages. end runs
// there as the last.
func startLoop(p *presenter, log *slog.Logger, build func(*loop) error, end func()) (*loop, error) {
	l := &loop{p: p, log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go l.run(build, end, started)
	if err := <-started; err != nil {
		<-l.done
		return nil, err
	}
	return l, nil
}

func (l *loop) run(build func(*loop) error, end func(), started chan<- error) {
	runtime.LockOSThread() // ends with the goroutine: what the system keeps for this thread goes, too
	defer close(l.done)
	if call(procThreadDpi, ^uintptr(3)) == 0 { // per monitor, version 2; else version 1, else what the manifest says
		call(procThreadDpi, ^uintptr(2))
	}
	err := register()
	if err == nil {
		message := ^uintptr(2) // HWND_MESSAGE
		l.box = newWindow(className, "", 0, 0, hwnd(message), 0, func(m uint32, _, _ uintptr) (uintptr, bool) {
			if m == wmWork {
				l.work()
				return 0, true
			}
			return 0, false
		})
		if l.box == 0 {
			err = fmt.Errorf("consent: window: %w", windows.GetLastError())
		}
	}
	if err == nil {
		err = build(l)
	}
	started <- err
	if err == nil {
		l.pump()
	}
	end()
	l.mu.Lock()
	box := l.box
	l.box, l.stopped, l.queue = 0, true, nil
	l.mu.Unlock()
	call(procDestroyWindow, uintptr(box))
}

func (l *loop) pump() {
	var m msg
	for int32(call(procGetMessage, uintptr(unsafe.Pointer(&m)), 0, 0, 0)) > 0 {
		if pressed(&m) && !l.p.accepts(l.origin()) {
			l.log.Info("a click or key that no person made was ignored")
			continue
		}
		if m.message == wmMouseMove {
			l.hear()
		}
		if l.keys != nil && l.keys(&m) {
			continue
		}
		if l.main != nil {
			if w := l.main(); w != 0 && call(procIsDialogMessage, uintptr(w), uintptr(unsafe.Pointer(&m))) != 0 {
				continue
			}
		}
		call(procTranslateMessage, uintptr(unsafe.Pointer(&m)))
		call(procDispatchMessage, uintptr(unsafe.Pointer(&m)))
	}
}

// do runs f on the loop's thread, later. After quit it does nothing.
func (l *loop) do(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return
	}
	l.queue = append(l.queue, f)
	if len(l.queue) == 1 {
		call(procPostMessage, uintptr(l.box), wmWork, 0, 0)
	}
}

func (l *loop) work() {
	l.mu.Lock()
	q := l.queue
	l.queue = nil
	l.mu.Unlock()
	for _, f := range q {
		f()
	}
}

// quit ends the loop after what is in its queue, and waits for it.
func (l *loop) quit() {
	l.do(func() {
		l.mu.Lock()
		l.stopped = true
		l.mu.Unlock()
		call(procPostQuit, 0)
	})
	<-l.done
}

// pressed reports whether m is a press of a button or key, or a touch. What
// only moves or lets go does nothing by itself.
func pressed(m *msg) bool {
	switch {
	case m.message == wmKeyDown, m.message == wmSysKeyDown, m.message == wmTouch, m.message == wmPointerDown:
		return true
	case m.message == wmMouseMove, m.message == wmMouseWheel:
		return false
	case m.message >= wmLButtonDown && m.message <= wmXButtonDbl:
		return (m.message-wmLButtonDown)%3 != 1 // down, up, double
	case m.message >= wmNcLButtonDown && m.message <= wmNcMButtonDbl:
		return (m.message-wmNcLButtonDown)%3 != 1 && m.w == 20 // the close button; others only move the window
	}
	return false
}

// Where a message came from, by GetCurrentInputMessageSource.
const (
	fromHardware = 1
	fromInjected = 2
)

// named is set once the system told any event's source: only then does one
// that is not told mean that another program sent it.
var named struct {
	sync.Mutex
	yes bool
}

// hear learns from a move of the mouse whether the system tells sources.
func (l *loop) hear() {
	named.Lock()
	yes := named.yes
	named.Unlock()
	if !yes {
		l.origin()
	}
}

// origin tells where the message came from that the loop has just taken.
func (l *loop) origin() origin {
	if call(procMessageExtra) == injector.Mark {
		return origin{}
	}
	var s struct{ device, origin uint32 }
	if call(procMessageSource, uintptr(unsafe.Pointer(&s))) == 0 {
		s.origin = 0
	}
	named.Lock()
	defer named.Unlock()
	switch s.origin {
	case fromHardware:
		named.yes = true
		return origin{known: true}
	case fromInjected:
		named.yes = true
		return origin{}
	}
	// Posted by a program: as XSendEvent. Where the system never tells, the mark decides.
	return origin{sent: named.yes, known: true}
}
