package consent

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"daypass/backend/grant"
)

// TestCatalogue: every text is there in every language, with the same verbs
// for what is filled in, and in the voice we speak.
func TestCatalogue(t *testing.T) {
	en, de := reflect.ValueOf(english), reflect.ValueOf(german)
	verbs := func(s string) string {
		var v []string
		for i := 0; i+1 < len(s); i++ {
			if s[i] == '%' {
				j := i + 1
				for strings.ContainsRune("0123456789[]", rune(s[j])) {
					j++
				}
				v = append(v, s[i:j+1])
				i = j
			}
		}
		return strings.Join(v, " ")
	}
	for i := range en.NumField() {
		name := en.Type().Field(i).Name
		if en.Field(i).Kind() != reflect.String {
			continue
		}
		a, b := en.Field(i).String(), de.Field(i).String()
		if a == "" || b == "" {
			t.Errorf("%s is missing: %q, %q", name, a, b)
		}
		if verbs(a) != verbs(b) {
			t.Errorf("%s: %q and %q fill in other things", name, a, b)
		}
		if strings.Contains(a+b, "!") {
			t.Errorf("%s has an exclamation mark", name)
		}
	}
	for i := range 12 {
		if english.Months[i] == "" || german.Months[i] == "" {
			t.Errorf("month %d is missing", i+1)
		}
	}
}

// TestDescribe: every state of every language has a title, no hole in a text,
// IDs that are unique, a way on (but while something goes on) and a focus that exists.
func TestDescribe(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 32, 0, 0, time.Local)
	for name, m := range states(now) {
		for _, lang := range []string{"en", "de"} {
			t.Run(name+"/"+lang, func(t *testing.T) {
				p := Describe(m, lang)
				if p.Title == "" || p.Window == "" {
					t.Error("no title")
				}
				seen := map[string]bool{}
				all := p.Title + p.Lead
				for _, b := range p.Blocks {
					if b.ID == "" || seen[b.ID] {
						t.Errorf("ID %q is empty or twice", b.ID)
					}
					seen[b.ID] = true
					all += b.Text + b.Detail + b.Label
					for _, it := range b.Items {
						all += it.Text
					}
				}
				primary := 0
				for _, b := range p.Buttons {
					seen[b.ID] = true
					all += b.Text
					if b.Primary {
						primary++
					}
				}
				if primary > 1 {
					t.Error("two primary buttons")
				}
				if strings.Contains(all, "%!") || strings.Contains(all, "%s") || strings.Contains(all, "%d") {
					t.Errorf("a hole: %s", all)
				}
				if p.Focus != "" && !seen[p.Focus] {
					t.Errorf("the focus %q is not on the page", p.Focus)
				}
				if m.Screen != Starting && m.Screen != Ending && len(p.Buttons) == 0 {
					t.Error("no way on")
				}
				b := DescribeBar(m, lang)
				if b.Who == "" || b.Doing == "" || b.Button == "" {
					t.Errorf("bar: %+v", b)
				}
			})
		}
	}
}

func TestDescribeSays(t *testing.T) {
	now := time.Date(2026, 11, 22, 14, 32, 0, 0, time.Local)
	text := func(p Page) string {
		s := p.Title + "\n" + p.Lead
		for _, b := range p.Blocks {
			s += "\n" + b.Text + "\n" + b.Detail
			for _, it := range b.Items {
				s += "\n" + it.Lead + " " + it.Text
			}
		}
		return s
	}
	for _, c := range []struct{ state, lang, want string }{
		{"code", "en", "Until tomorrow 14:32 at most"},
		{"code", "en", "Did someone call you unasked? Stop."},
		{"code", "de", "Höchstens bis morgen 14:32"},
		{"code-wrong", "en", "You have 2 tries left"},
		{"code-last", "en", "one try left"},
		{"code-slip", "en", "did not count as a try"},
		{"watching", "en", "Mia Roth can see and control this computer"},
		{"viewing", "en", "Mia Roth can see this computer"},
		{"watching", "en", "18 h 04 min left"},
		{"watching", "en", "Mia Roth sent text to your clipboard"},
		{"quiet", "en", "Nobody sees your screen now"},
		{"paused", "en", "Nobody sees or controls this computer now"},
		{"ending", "en", "step 3 of 5"},
		{"removed", "en", "Everything was removed"},
		{"removed-unclean", "en", "Not everything could be removed"},
		{"refused-wayland", "en", "Xorg"},
		{"refused-already", "en", "Jon Kim from Fabrikam"},
	} {
		if got := text(Describe(states(now)[c.state], c.lang)); !strings.Contains(got, c.want) {
			t.Errorf("%s/%s does not say %q:\n%s", c.state, c.lang, c.want, got)
		}
	}
	// before 300 ms no words of waiting
	m := Model{Screen: Connecting, Now: now, Since: now.Add(-WordsAfter + time.Millisecond)}
	if n := len(Describe(m, "en").Blocks); n != 0 {
		t.Errorf("%d blocks before %v", n, WordsAfter)
	}
	m.Since = now.Add(-WordsAfter)
	if n := len(Describe(m, "en").Blocks); n == 0 {
		t.Error("no words after 300 ms")
	}
	// the same page keeps its key while times and lists change
	a, b := states(now)["watching"], states(now.Add(time.Hour))["watching"]
	b.Events = append(b.Events, Line{At: now, Kind: LineClipboardOut})
	b.Allowed = grant.View
	if Describe(a, "en").Key != Describe(b, "en").Key {
		t.Error("a changed value changes the page's key")
	}
}

// TestClean: what a server or a console says about itself cannot break out of its line.
func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		" Mia\n\tRoth ":         "Mia Roth",
		"Mia\u202eRoth\u200b":   "MiaRoth",
		"a\x00b\x1b[31mc":       "ab[31mc",
		strings.Repeat("ä", 99): strings.Repeat("ä", 20) + "…",
		"\xff\xfe":              "",
	} {
		if got := clean(in, 20); got != want {
			t.Errorf("%q: %q, not %q", in, got, want)
		}
	}
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 12, 31, 23, 30, 0, 0, time.Local)
	for _, c := range []struct {
		d        time.Duration
		en, left string
	}{
		{time.Minute, "23:31 today", "1 min left"},
		{20 * time.Second, "23:30 today", "less than a minute left"},
		{24 * time.Hour, "tomorrow 23:30", "24 h 00 min left"},
		{49 * time.Hour, "3 January, 00:30", "49 h 00 min left"},
		{-time.Second, "23:29 today", "time is over"},
	} {
		if got := english.clock(now.Add(c.d), now); got != c.en {
			t.Errorf("clock %v: %q", c.d, got)
		}
		if got := english.left(now.Add(c.d), now); got != c.left {
			t.Errorf("left %v: %q", c.d, got)
		}
	}
}

func next(t *testing.T, p *presenter) Action {
	t.Helper()
	select {
	case a := <-p.actions:
		return a
	default:
		t.Fatal("no action")
		return Action{}
	}
}

func none(t *testing.T, p *presenter) {
	t.Helper()
	select {
	case a := <-p.actions:
		t.Fatalf("an action nobody asked for: %+v", a)
	default:
	}
}

func TestPresenterCode(t *testing.T) {
	p := newPresenter("en")
	p.show(states(time.Now())["code"])
	p.press("submit-code", input{Code: "4711 88"})
	none(t, p)
	if p.problem() != english.CodeIncomplete {
		t.Errorf("problem %q", p.problem())
	}
	p.set(grant.View, false) // no seeing, no controlling
	p.press("submit-code", input{Code: "4711 8862"})
	if a := next(t, p); a.Kind != SubmitCode || a.Text != "47118862" || a.Rights != grant.Clipboard {
		t.Errorf("%+v", a)
	}
	p.set(grant.Control, true) // no controlling without seeing
	p.press("submit-code", input{Code: "47118862"})
	if a := next(t, p); a.Rights != grant.View|grant.Control|grant.Clipboard {
		t.Errorf("%+v", a)
	}
	p.set(grant.Terminal, true) // was not offered
	p.press("submit-code", input{Code: "47118862"})
	if a := next(t, p); a.Rights.Has(grant.Terminal) {
		t.Errorf("%+v", a)
	}
	p.shut()
	if a := next(t, p); a.Kind != Cancel {
		t.Errorf("%+v", a)
	}
}

func TestPresenterConnected(t *testing.T) {
	p := newPresenter("en")
	m := states(time.Now())["watching"]
	p.show(m)
	p.press("stop", input{})
	if a := next(t, p); a.Kind != Stop || a.At.IsZero() {
		t.Errorf("%+v", a)
	}
	p.set(grant.View, false)
	var off grant.Rights
	for range 2 {
		a := next(t, p)
		if a.Kind != SetRight || a.On {
			t.Errorf("%+v", a)
		}
		off |= a.Rights
	}
	if off != grant.View|grant.Control {
		t.Errorf("off %b", off)
	}
	// closing the window asks first
	p.shut()
	none(t, p)
	if !strings.HasPrefix(p.page().Key, "confirm") {
		t.Errorf("page %q", p.page().Key)
	}
	p.press("keep", input{})
	if !strings.HasPrefix(p.page().Key, "connected") {
		t.Errorf("page %q", p.page().Key)
	}
	p.press("end", input{})
	none(t, p)
	p.press("end-now", input{})
	if a := next(t, p); a.Kind != EndAndRemove {
		t.Errorf("%+v", a)
	}
	m.Screen = Ending
	p.show(m)
	p.shut()
	none(t, p)
}

// TestStopIsNeverLost: nobody reads, and still the Stop is there.
func TestStopIsNeverLost(t *testing.T) {
	p := newPresenter("en")
	p.show(states(time.Now())["watching"])
	p.press("stop", input{})
	for range 500 {
		p.set(grant.Clipboard, false)
	}
	p.close()
	found := false
	for a := range p.actions {
		found = found || a.Kind == Stop
	}
	if !found {
		t.Error("the Stop was lost")
	}
	p.press("stop", input{}) // after close: no panic
}

func TestAccept(t *testing.T) {
	hand := origin{known: true, name: "AT Translated Set 2 keyboard"}
	xtest := origin{known: true, name: "Virtual core XTEST pointer"}
	xvfb := origin{known: true, name: "Xvfb XTEST keyboard"}
	for name, m := range states(time.Now()) {
		live := m.Screen == Connected || m.Screen == Ending || m.Again
		if !accept(&m, hand) {
			t.Errorf("%s: a hand is refused", name)
		}
		for _, o := range []origin{xtest, xvfb, {}} {
			if accept(&m, o) == live && !e2e {
				t.Errorf("%s: %+v accepted=%v", name, o, !live)
			}
		}
		if accept(&m, origin{known: true, sent: true, name: hand.name}) {
			t.Errorf("%s: a sent event is accepted", name)
		}
	}
}

func TestBarHealth(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		h    BarHealth
		want bool
	}{
		{BarHealth{}, true},
		{BarHealth{Wanted: true, Shown: true}, true},
		{BarHealth{Wanted: true}, false}, // there is no display for it
		{BarHealth{Wanted: true, HiddenSince: now.Add(-time.Second)}, true},
		{BarHealth{Wanted: true, HiddenSince: now.Add(-3 * time.Second)}, false},
	} {
		if got := c.h.Healthy(now); got != c.want {
			t.Errorf("%+v: %v", c.h, got)
		}
	}
}

// TestContrast: every text colour is at least 4.5:1 where it stands (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	lum := func(c color.RGBA) float64 {
		f := func(v uint8) float64 {
			x := float64(v) / 255
			if x <= 0.04045 {
				return x / 12.92
			}
			return math.Pow((x+0.055)/1.055, 2.4)
		}
		return 0.2126*f(c.R) + 0.7152*f(c.G) + 0.0722*f(c.B)
	}
	for name, p := range map[string]*palette{"light": &light, "dark": &dark} {
		pairs := [][2]color.RGBA{{p.OnAccent, p.Accent}, {p.OnDanger, p.Danger}}
		for _, bg := range []color.RGBA{p.Paper, p.Raised} {
			for _, fg := range []color.RGBA{p.Ink, p.Muted, p.Active, p.Waiting, p.Quiet, p.Danger} {
				pairs = append(pairs, [2]color.RGBA{fg, bg})
			}
		}
		for tone := Plain; tone <= Danger; tone++ {
			fg, bg := p.tone(tone)
			pairs = append(pairs, [2]color.RGBA{fg, bg}, [2]color.RGBA{p.Ink, bg})
		}
		for _, c := range pairs {
			a, b := lum(c[0]), lum(c[1])
			if r := (max(a, b) + 0.05) / (min(a, b) + 0.05); r < 4.5 {
				t.Errorf("%s: %v on %v is %.2f:1", name, c[0], c[1], r)
			}
		}
	}
}

func TestReceiptPath(t *testing.T) {
	home := t.TempDir()
	ownHome(t, home)
	a := ReceiptPath("en")
	if !strings.HasPrefix(a, filepath.Join(home, "Support receipt ")) || !strings.HasSuffix(a, ".html") {
		t.Errorf("%s", a)
	}
	if fmt.Sprint(digits("4711-8862 99")) != "47118862" {
		t.Error("digits")
	}
}
