package consent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daypass/backend/grant"
)

// walked presses rows and buttons by their IDs and returns what came of it.
func walked(t *testing.T, m Model, ids ...string) (*presenter, []Action) {
	t.Helper()
	p := newPresenter("en")
	p.show(m)
	for _, id := range ids {
		page := p.page()
		found := false
		for _, b := range page.Blocks {
			found = found || b.ID == id && b.Kind == BlockPick
		}
		for _, b := range page.Buttons {
			found = found || b.ID == id
		}
		if !found {
			t.Fatalf("no %q on %q", id, page.Title)
		}
		p.press(id, input{})
	}
	var out []Action
	for {
		select {
		case a := <-p.actions:
			out = append(out, a)
		default:
			return p, out
		}
	}
}

func TestATimeLimitIsTwoPressesAway(t *testing.T) {
	m := states(time.Now())["quiet"]
	p, a := walked(t, m, "limits", "limit-2", "for-30")
	if len(a) != 1 || a[0].Kind != SetRight || a[0].Rights != grant.Control || !a[0].On || a[0].For != 30*time.Minute {
		t.Errorf("%+v", a)
	}
	if !strings.HasPrefix(p.page().Key, "connected") {
		t.Error(p.page().Key)
	}
	p, a = walked(t, m, "limits", "limit-1", "back", "back")
	if len(a) != 0 || !strings.HasPrefix(p.page().Key, "connected") {
		t.Errorf("%v %s", a, p.page().Key)
	}
}

func TestFilesCanBeLimitedToAFolder(t *testing.T) {
	home := t.TempDir()
	ownHome(t, home)
	if err := os.Mkdir(filepath.Join(home, "Downloads"), 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	m := states(now)["limited"]
	m.Limits[1].Scope = ""
	_, a := walked(t, m, "limits", "limit-8", "folder-0")
	if len(a) != 1 || a[0].Scope != filepath.Join(home, "Downloads") || a[0].For != 30*time.Minute || a[0].Rights != grant.Files {
		t.Errorf("%+v", a)
	}
	m.Rights &^= grant.Files // not offered: nowhere to be seen
	m.Allowed &^= grant.Files
	for _, b := range Describe(m, "en").Blocks {
		if strings.Contains(b.Text, "files") {
			t.Errorf("%+v", b)
		}
	}
}

func TestTheQuestionHasAnAnswerForEachChoice(t *testing.T) {
	m := states(time.Now())["asked"]
	for id, want := range map[string]Action{
		"not-now": {Kind: AnswerRight}, "allow-15": {Kind: AnswerRight, On: true, For: 15 * time.Minute}, "allow-0": {Kind: AnswerRight, On: true},
	} {
		_, a := walked(t, m, id)
		if len(a) != 1 || a[0].Kind != want.Kind || a[0].On != want.On || a[0].For != want.For {
			t.Errorf("%s: %+v", id, a)
		}
	}
	for _, lang := range []string{"en", "de"} {
		if page := Describe(m, lang); !strings.Contains(page.Title, "Mia Roth") || page.Focus != "not-now" {
			t.Errorf("%+v", page)
		}
	}
}

func TestWhatIsLeftOfALimitIsShownAndTheBarSaysWhatEndsFirst(t *testing.T) {
	now := time.Now()
	m := states(now)["limited"]
	text := ""
	for _, b := range Describe(m, "en").Blocks {
		text += b.Text + "\n"
	}
	for _, want := range []string{"24 min left", "only in Downloads, 30 min left"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	m.Watching, m.Doing = true, grant.View|grant.Control
	if b := DescribeBar(m, "en"); b.Left != "24 min left" {
		t.Errorf("%+v", b)
	}
}
