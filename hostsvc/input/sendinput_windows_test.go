package input

import (
	"image"
	"log/slog"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
	"unsafe"

	"daypass/backend/wire"

	"go.uber.org/goleak"
	"golang.org/x/sys/windows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	findWindow   = user32.NewProc("FindWindowW")
	findChild    = user32.NewProc("FindWindowExW")
	sendMessage  = user32.NewProc("SendMessageW")
	windowRect   = user32.NewProc("GetWindowRect")
	moveWindow   = user32.NewProc("MoveWindow")
	keyState     = user32.NewProc("GetAsyncKeyState")
	cursorPos    = user32.NewProc("GetCursorPos")
	bringToFront = user32.NewProc("SetForegroundWindow")
)

const (
	wmGetText = 0x000d
	wmSetText = 0x000c
	screenW   = 0
	screenH   = 1
)

var display = image.Rect(0, 0, metric(screenW), metric(screenH))

func utf(s string) uintptr {
	return uintptr(unsafe.Pointer(&append(utf16.Encode([]rune(s)), 0)[0]))
}

func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func open(t *testing.T) *player {
	t.Helper()
	i, err := Default(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	return i.(*player)
}

// notepad starts one, in front, and returns its edit field.
func notepad(t *testing.T, p *player) (edit uintptr) {
	t.Helper()
	cmd := exec.Command("notepad.exe")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var win uintptr
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		wait(t, "notepad's end", func() bool { w, _, _ := findWindow.Call(utf("Notepad"), 0); return w != win || win == 0 })
	})
	wait(t, "notepad", func() bool {
		win, _, _ = findWindow.Call(utf("Notepad"), 0)
		edit, _, _ = findChild.Call(win, 0, utf("Edit"), 0)
		return win != 0 && edit != 0
	})
	moveWindow.Call(win, 200, 150, 700, 500, 1)
	bringToFront.Call(win)
	var r [4]int32
	windowRect.Call(edit, uintptr(unsafe.Pointer(&r)))
	middle := image.Pt(int(r[0]+r[2])/2, int(r[1]+r[3])/2)
	apply(t, p, &wire.Input{Kind: wire.InputButton, Button: wire.ButtonLeft, Buttons: 1, Down: true, X: uint16(middle.X), Y: uint16(middle.Y)})
	apply(t, p, &wire.Input{Kind: wire.InputButton, Button: wire.ButtonLeft, X: uint16(middle.X), Y: uint16(middle.Y)})
	wait(t, "notepad in front", func() bool { f, _, _ := procForeground.Call(); return f == win })
	return edit
}

func textOf(edit uintptr) string {
	var buf [4096]uint16
	sendMessage.Call(edit, wmGetText, uintptr(len(buf)), uintptr(unsafe.Pointer(&buf[0])))
	return strings.ReplaceAll(windows.UTF16ToString(buf[:]), "\r\n", "\n")
}

func apply(t *testing.T, p *player, m *wire.Input) {
	t.Helper()
	if err := p.Apply(*m, display); err != nil {
		t.Fatal(err)
	}
}

func typeText(t *testing.T, p *player, s string) {
	t.Helper()
	for _, r := range s {
		m := wire.Input{Kind: wire.InputText}
		if err := m.SetText(string(r)); err != nil {
			t.Fatal(err)
		}
		apply(t, p, &m)
	}
}

func usageOf(t *testing.T, code string) uint16 {
	t.Helper()
	for _, k := range wire.Keys {
		if k.Code == code {
			return k.Usage
		}
	}
	t.Fatalf("no key %s", code)
	return 0
}

func press(t *testing.T, p *player, code string, down bool, mods uint8) {
	t.Helper()
	apply(t, p, &wire.Input{Kind: wire.InputKey, Usage: usageOf(t, code), Down: down, Mods: mods})
}

func TestNotepadGetsTextAndKeys(t *testing.T) {
	p := open(t)
	edit := notepad(t, p)
	const said = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich – 4,50 €\tok ŵ 日本 😀\nsecond line"
	typeText(t, p, said)
	wait(t, "the text in notepad", func() bool { return textOf(edit) == said })

	sendMessage.Call(edit, wmSetText, 0, utf(""))
	for _, c := range []string{"KeyD", "KeyA", "KeyY", "Digit1", "Space", "Numpad5", "Enter", "KeyX"} {
		press(t, p, c, true, 0)
		press(t, p, c, false, 0)
	}
	press(t, p, "ShiftLeft", true, wire.ModShift)
	press(t, p, "KeyQ", true, wire.ModShift)
	press(t, p, "KeyQ", false, wire.ModShift)
	press(t, p, "ShiftLeft", false, 0)
	// Held down: the console repeats.
	press(t, p, "KeyZ", true, 0)
	press(t, p, "KeyZ", true, 0)
	press(t, p, "KeyZ", true, 0)
	press(t, p, "KeyZ", false, 0)
	press(t, p, "Home", true, 0)
	press(t, p, "Home", false, 0)
	press(t, p, "Delete", true, 0)
	press(t, p, "Delete", false, 0)
	wait(t, "the keys in notepad", func() bool { return strings.HasSuffix(textOf(edit), "\nQzzz") })
	if got := textOf(edit); got != "day1 5\nQzzz" && got != "day1 \nQzzz" { // without the keypad's lock the 5 is no digit
		t.Errorf("notepad has %q", got)
	}
}

func TestPointerHeldKeysAndRelease(t *testing.T) {
	p := open(t)
	for _, at := range []image.Point{{0, 0}, {1, 1}, {777, 333}, {display.Max.X - 1, display.Max.Y - 1}} {
		apply(t, p, &wire.Input{Kind: wire.InputMove, X: uint16(at.X), Y: uint16(at.Y)})
		var got struct{ X, Y int32 }
		wait(t, "the pointer at "+at.String(), func() bool {
			cursorPos.Call(uintptr(unsafe.Pointer(&got)))
			return int(got.X) == at.X && int(got.Y) == at.Y
		})
	}
	down := func(vk uintptr) bool { s, _, _ := keyState.Call(vk); return s&0x8000 != 0 }
	notepad(t, p)
	press(t, p, "ShiftLeft", true, wire.ModShift)
	press(t, p, "KeyF", true, wire.ModShift)
	wait(t, "the keys down", func() bool { return down(vkShift) && down('F') })
	if err := p.ReleaseAll(); err != nil {
		t.Fatal(err)
	}
	wait(t, "everything up", func() bool { return !down(vkShift) && !down('F') })
	if err := p.Blocked(); err != nil {
		t.Errorf("blocked: %v", err)
	}
}
