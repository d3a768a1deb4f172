package desk

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The desk itself: what a hand types arrives, the eyes read it, the clipboard
// carries it, and the screen shows that something changed.
func TestAPersonCanWorkAtTheDesk(t *testing.T) {
	d := New(t, Options{Name: "desk", Width: 1024, Height: 768, Bus: true})
	eyes := d.Eyes()
	file := filepath.Join(d.Home, "notes.txt")
	if err := os.WriteFile(file, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.Start("mousepad", "--disable-server", file)
	d.Until("the editor's window", 30*time.Second, func() bool { return d.Focus("notes.txt") })
	eyes.Wait("mousepad", "", "first", 20*time.Second)
	before := d.Screen()
	d.Keys("ctrl+a", "ctrl+c")
	d.Until("the clipboard", 10*time.Second, func() bool { return strings.Contains(d.Clipboard(), "first") })
	d.Type("second")
	eyes.Wait("mousepad", "", "second", 20*time.Second)
	after := d.Screen()
	if string(before.Pix) == string(after.Pix) {
		t.Error("typing changed nothing on the screen")
	}
	d.Keys("ctrl+s")
	d.Until("the file", 10*time.Second, func() bool {
		b, err := os.ReadFile(file)
		return err == nil && strings.HasPrefix(string(b), "second")
	})
}
