//go:build linux

package clip

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"daypass/backend/fault"
	"daypass/hostsvc/screen/screentest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func server(t *testing.T) string {
	t.Helper()
	screentest.Need(t, "xclip", "xsel")
	return screentest.Xvfb(t, "64x64")
}

func open(t *testing.T, display string) *x11 {
	t.Helper()
	c, err := openX11(display, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// tool runs xclip or xsel. With text it becomes the owner, which stays in the
// background until somebody else is or the server ends.
func tool(t *testing.T, display, text string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "DISPLAY="+display, "LC_ALL=C.UTF-8")
	cmd.Stdin = strings.NewReader(text)
	var out bytes.Buffer
	if text == "" {
		cmd.Stdout = &out
	}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return out.String()
}

// eventually reads until ok or for ten seconds: xclip and xsel return before
// the server knows that they own the selection.
func eventually(t *testing.T, c *x11, ok func(string, error) bool) (text string, err error) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text, err = c.Get(t.Context()); ok(text, err) {
			break
		}
	}
	return text, err
}

var texts = map[string]string{
	"short":   "Grüße, 世界 😀\nzweite Zeile\t.",
	"a chunk": strings.Repeat("ä", chunk/2),
	"large":   strings.Repeat("Zeile für Zeile. ", 50000),
}

func TestSetIsWhatOthersPaste(t *testing.T) {
	display := server(t)
	c := open(t, display)
	for name, text := range texts {
		if err := c.Set(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for range 2 { // it is served again and again
			for _, paste := range [][]string{{"xclip", "-selection", "clipboard", "-o", "-target", "UTF8_STRING"}, {"xsel", "-b", "-o"}} {
				if got := tool(t, display, "", paste...); got != text {
					t.Errorf("%s, %s: %d bytes, want %d", name, paste[0], len(got), len(text))
				}
			}
		}
		if got, err := c.Get(t.Context()); err != nil || got != text {
			t.Errorf("%s: own text back: %d bytes, %v", name, len(got), err)
		}
	}
	if got := tool(t, display, "", "xclip", "-selection", "clipboard", "-o", "-target", "TARGETS"); !strings.Contains(got, "UTF8_STRING") || !strings.Contains(got, "STRING") {
		t.Errorf("targets: %q", got)
	}
	if err := c.Set(t.Context(), "naïve €"); err != nil {
		t.Fatal(err)
	}
	if got := tool(t, display, "", "xclip", "-selection", "clipboard", "-o", "-target", "STRING"); got != "na\xefve ?" {
		t.Errorf("as STRING: %q", got)
	}
}

func TestGetIsWhatOthersCopied(t *testing.T) {
	display := server(t)
	c := open(t, display)
	if _, err := c.Get(t.Context()); fault.KindOf(err) != fault.NotFound {
		t.Errorf("an empty clipboard: %v", err)
	}
	for name, text := range texts {
		for _, copyIn := range [][]string{{"xclip", "-selection", "clipboard", "-i"}, {"xsel", "-b", "-i"}} {
			tool(t, display, text, copyIn...)
			got, err := eventually(t, c, func(s string, _ error) bool { return s == text })
			if err != nil || got != text {
				t.Errorf("%s, %s: %d bytes, want %d, %v", name, copyIn[0], len(got), len(text), err)
			}
		}
	}
	// Another owner takes over from us and we from it.
	if err := c.Set(t.Context(), "ours"); err != nil {
		t.Fatal(err)
	}
	tool(t, display, "theirs", "xclip", "-selection", "clipboard", "-i")
	if got, err := eventually(t, c, func(s string, _ error) bool { return s == "theirs" }); err != nil || got != "theirs" {
		t.Errorf("after another program copied: %q, %v", got, err)
	}
}

func TestBounds(t *testing.T) {
	display := server(t)
	c := open(t, display)
	if err := c.Set(t.Context(), strings.Repeat("x", MaxText+1)); fault.KindOf(err) != fault.Invalid {
		t.Errorf("setting too much: %v", err)
	}
	tool(t, display, strings.Repeat("x", MaxText+1), "xclip", "-selection", "clipboard", "-i")
	if _, err := eventually(t, c, func(_ string, err error) bool { return fault.KindOf(err) == fault.Limit }); fault.KindOf(err) != fault.Limit {
		t.Errorf("getting too much: %v", err)
	}
	tool(t, display, strings.Repeat("y", MaxText), "xclip", "-selection", "clipboard", "-i")
	if got, err := eventually(t, c, func(s string, _ error) bool { return s != "" }); err != nil || len(got) != MaxText {
		t.Errorf("getting the most: %d bytes, %v", len(got), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Set(ctx, "x"); err != nil && fault.KindOf(err) != fault.Cancelled {
		t.Errorf("cancelled: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Get(t.Context()); fault.KindOf(err) != fault.Cancelled {
		t.Errorf("get after Close: %v", err)
	}
	if err := c.Set(t.Context(), "x"); fault.KindOf(err) != fault.Cancelled {
		t.Errorf("set after Close: %v", err)
	}
	if _, err := openX11("", nil); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("no display: %v", err)
	}
}

func TestCleanKeepsItsPromise(t *testing.T) {
	for in, want := range map[string]string{"a\r\nb\r\n": "a\nb\n", "a\xffb": "a�b", "a\x00b": "a"} {
		if got, err := clean(in); err != nil || got != want {
			t.Errorf("%q became %q, %v", in, got, err)
		}
	}
	if got := fromLatin1([]byte(latin1("Äß"))); got != "Äß" {
		t.Errorf("Latin-1 there and back: %q", got)
	}
}
