package input

import (
	"errors"
	"image"
	"log/slog"
	"unicode/utf16"
	"unsafe"

	"daypass/backend/fault"
	"daypass/backend/wire"

	"golang.org/x/sys/windows"
)

var (
	user32            = windows.NewLazySystemDLL("user32.dll")
	procSendInput     = user32.NewProc("SendInput")
	procMetrics       = user32.NewProc("GetSystemMetrics")
	procVkKeyScanEx   = user32.NewProc("VkKeyScanExW")
	procLayout        = user32.NewProc("GetKeyboardLayout")
	procForeground    = user32.NewProc("GetForegroundWindow")
	procWindowThread  = user32.NewProc("GetWindowThreadProcessId")
	procMapVirtualKey = user32.NewProc("MapVirtualKeyW")
	procOpenDesktop   = user32.NewProc("OpenInputDesktop")
	procCloseDesktop  = user32.NewProc("CloseDesktop")
)

// From winuser.h.
const (
	inputMouse    = 0
	inputKeyboard = 1

	mouseMove        = 0x0001
	mouseWheel       = 0x0800
	mouseHWheel      = 0x1000
	mouseVirtualDesk = 0x4000
	mouseAbsolute    = 0x8000

	keyExtended = 0x0001
	keyUp       = 0x0002
	keyUnicode  = 0x0004
	keyScan     = 0x0008

	vkTab     = 0x09
	vkReturn  = 0x0d
	vkShift   = 0x10
	vkPause   = 0x13
	scanPause = 0xe11d

	virtualX, virtualY, virtualW, virtualH = 76, 77, 78, 79
	desktopSwitch                          = 0x0100
)

// The two shapes of INPUT; both have its size on 32 and 64 bits.

// mouseRecord is INPUT with MOUSEINPUT, which begins at the union's alignment.
type mouseRecord struct {
	kind uint32
	in   struct {
		dx, dy      int32
		data, flags uint32
		time        uint32
		extra       uintptr
	}
}

type keyRecord struct {
	kind uint32
	in   struct {
		vk, scan    uint16
		flags, time uint32
		extra       uintptr
	}
	_ [8]byte
}

// Default returns the injector of the desktop this process runs on.
func Default(log *slog.Logger) (Injector, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := procSendInput.Find(); err != nil {
		return nil, fault.Wrap(err, fault.Unsupported, "input.open", "This computer cannot be controlled.", "Go on by watching only.")
	}
	return newPlayer(&win{log: log}), nil
}

// win plays input by SendInput. The player's mutex guards it.
type win struct {
	log     *slog.Logger
	refused error // of the last SendInput
}

func (w *win) send(p unsafe.Pointer, count int, size uintptr) error {
	n, _, err := procSendInput.Call(uintptr(count), uintptr(p), size)
	if int(n) == count {
		w.refused = nil
		return nil
	}
	// User Interface Privilege Isolation reports nothing, or access denied.
	w.refused = fault.Wrap(err, fault.Denied, "input.apply", "Windows does not let Daypass use this window or screen.", "It belongs to an administrator or to Windows itself. Ask the customer to answer it.")
	return w.refused
}

func (w *win) mouse(dx, dy int32, data, flags uint32) error {
	r := mouseRecord{kind: inputMouse}
	r.in.dx, r.in.dy, r.in.data, r.in.flags, r.in.extra = dx, dy, data, flags, Mark
	return w.send(unsafe.Pointer(&r), 1, unsafe.Sizeof(r))
}

func (w *win) press(vk, scan uint16, flags uint32) error {
	r := keyRecord{kind: inputKeyboard}
	r.in.vk, r.in.scan, r.in.flags, r.in.extra = vk, scan, flags, Mark
	return w.send(unsafe.Pointer(&r), 1, unsafe.Sizeof(r))
}

func metric(i uintptr) int {
	n, _, _ := procMetrics.Call(i)
	return int(int32(n))
}

func (w *win) move(p image.Point) error {
	norm := func(v, from, size int) int32 {
		if size < 2 {
			return 0
		}
		return int32(((v-from)*2 + 1) * 65536 / (2 * size)) // the pixel's middle, right however the system rounds
	}
	return w.mouse(norm(p.X, metric(virtualX), metric(virtualW)), norm(p.Y, metric(virtualY), metric(virtualH)), 0, mouseMove|mouseAbsolute|mouseVirtualDesk)
}

// Flags and data of wire's buttons, going down; up is the next flag.
var mouseButtons = [...]struct{ down, data uint32 }{{0x0002, 0}, {0x0020, 0}, {0x0008, 0}, {0x0080, 1}, {0x0080, 2}}

func (w *win) button(b uint8, down bool) error {
	m := mouseButtons[b]
	if !down {
		return w.mouse(0, 0, m.data, m.down<<1)
	}
	return w.mouse(0, 0, m.data, m.down)
}

func (w *win) wheel(dx, dy int16) error {
	if dy != 0 {
		if err := w.mouse(0, 0, uint32(-int32(dy)), mouseWheel); err != nil {
			return err
		}
	}
	if dx != 0 {
		return w.mouse(0, 0, uint32(int32(dx)), mouseHWheel)
	}
	return nil
}

// key presses again on a repeat: Windows does not repeat what is injected.
func (w *win) key(usage uint16, down, _ bool) error {
	k, ok := wire.KeyOf(usage)
	if !ok {
		return unknownKey(usage)
	}
	flags := uint32(keyScan)
	if !down {
		flags |= keyUp
	}
	if k.Scan == scanPause {
		return w.press(vkPause, 0x45, flags&^keyScan)
	}
	if k.Scan>>8 == 0xe0 {
		flags |= keyExtended
	}
	return w.press(0, k.Scan&0xff, flags)
}

func (w *win) text(s string, chord bool, held []uint16) error {
	if chord {
		return w.chord([]rune(s)[0], held)
	}
	for _, u := range held {
		if err := w.key(u, false, false); err != nil {
			return err
		}
	}
	for _, unit := range utf16.Encode([]rune(s)) {
		vk, scan, flags := uint16(0), unit, uint32(keyUnicode)
		switch unit {
		case '\n':
			vk, scan, flags = vkReturn, 0, 0
		case '\t':
			vk, scan, flags = vkTab, 0, 0
		}
		if err := w.press(vk, scan, flags); err != nil {
			return err
		}
		if err := w.press(vk, scan, flags|keyUp); err != nil {
			return err
		}
	}
	for _, u := range held {
		if err := w.key(u, true, false); err != nil {
			return err
		}
	}
	return nil
}

// chord presses the key that writes r on the layout of the window in front.
func (w *win) chord(r rune, held []uint16) error {
	front, _, _ := procForeground.Call()
	thread, _, _ := procWindowThread.Call(front, 0)
	layout, _, _ := procLayout.Call(thread)
	if r > 0xffff {
		return fault.New(fault.Unsupported, "input.text", "There is no key for this character on the customer's keyboard.", "Use another shortcut.")
	}
	found, _, _ := procVkKeyScanEx.Call(uintptr(r), layout)
	vk, shift := uint16(found)&0xff, uint16(found)>>8
	if int16(found) == -1 {
		return fault.New(fault.Unsupported, "input.text", "There is no key for this character on the customer's keyboard.", "Use another shortcut.")
	}
	shifted := false
	for _, u := range held {
		shifted = shifted || u == 0xe1 || u == 0xe5
	}
	add := shift&1 != 0 && !shifted
	scan, _, _ := procMapVirtualKey.Call(uintptr(vk), 0)
	var errs []error
	if add {
		errs = append(errs, w.press(vkShift, 0x2a, 0))
	}
	errs = append(errs, w.press(vk, uint16(scan), 0), w.press(vk, uint16(scan), keyUp))
	if add {
		errs = append(errs, w.press(vkShift, 0x2a, keyUp))
	}
	return errors.Join(errs...)
}

func (w *win) blocked() error {
	if w.refused != nil {
		return w.refused
	}
	h, _, err := procOpenDesktop.Call(0, 0, desktopSwitch)
	if h == 0 {
		return fault.Wrap(err, fault.Denied, "input.blocked", "Windows shows a protected screen that does not take remote input.", "Ask the customer to answer it or to unlock the screen.")
	}
	if ok, _, err := procCloseDesktop.Call(h); ok == 0 {
		w.log.Debug("closing a desktop", "err", err)
	}
	return nil
}

func (w *win) close() error { return nil }
