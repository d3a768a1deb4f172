package removal

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"daypass/backend/grant"
)

// installed is a journal of a session with an ID, with a folder of units beside it.
func installed(t *testing.T) (j *Journal, units string, id grant.ID) {
	t.Helper()
	base, id := t.TempDir(), grant.NewID()
	units = filepath.Join(base, "systemd")
	if err := os.MkdirAll(filepath.Join(units, "default.target.wants"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(units, "other.service"))
	j, err := Start(filepath.Join(base, "daypass-host-_1-"+id.String()))
	if err != nil {
		t.Fatal(err)
	}
	put(t, j, Secret, filepath.Join(j.Dir(), "keys"))
	unit := filepath.Join(units, "daypass-host-"+id.String()+".service")
	if err := j.Add(Item{Kind: Unit, Path: unit, What: "the entry that starts the program", Last: true, User: true}); err != nil {
		t.Fatal(err)
	}
	write(t, unit)
	if err := os.Symlink(unit, filepath.Join(units, "default.target.wants", filepath.Base(unit))); err != nil {
		t.Fatal(err)
	}
	if err := j.Add(Item{Kind: Program, Path: filepath.Join(j.Dir(), "program"), What: "the installed program", Last: true}); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(j.Dir(), "program"))
	return j, units, id
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(path), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheUnitAndItsLinksGoLastAndTheManifestSaysSo(t *testing.T) {
	j, units, _ := installed(t)
	j, err := Open(j.Dir()) // as the next process does
	if err != nil {
		t.Fatal(err)
	}
	first := j.Run(t.Context(), nil)
	if !first.Clean || len(first.Last) != 3 {
		t.Fatalf("%+v", first)
	}
	if u, err := filepath.Glob(filepath.Join(units, "daypass*")); err != nil || len(u) != 1 {
		t.Fatalf("the unit went before the server was told: %v", u)
	}
	write(t, filepath.Join(units, "customers.service"))
	r := j.Finish(t.Context(), first, nil)
	if !r.Clean || len(r.Last) != 0 {
		t.Fatalf("%+v", r)
	}
	i := slices.IndexFunc(r.Places, func(p Place) bool { return p.Name == units })
	if i < 0 || r.Places[i] != (Place{Name: units, Before: 2, Put: 1, Gone: 1, After: 3, Others: 1}) {
		t.Errorf("%+v", r.Places)
	}
	if strings.Contains(strings.Join(r.Lines(), "\n"), "customers") {
		t.Error("names what is none of ours")
	}
	if e, err := os.ReadDir(filepath.Join(units, "default.target.wants")); err != nil || len(e) != 0 {
		t.Errorf("%v %v", e, err)
	}
}

func TestAPlantedLeftOverMakesTheCheckFail(t *testing.T) {
	for name, plant := range map[string]func(j *Journal, units string, id grant.ID) string{
		"a unit that nobody listed": func(_ *Journal, units string, _ grant.ID) string {
			return filepath.Join(units, "daypass-host-second.service")
		},
		"a file of this session": func(_ *Journal, units string, id grant.ID) string {
			return filepath.Join(units, "copy of "+id.String()+".tmp")
		},
		"a file beside the folder": func(j *Journal, _ string, _ grant.ID) string {
			return filepath.Join(filepath.Dir(j.Dir()), "Daypass.cache")
		},
	} {
		j, units, id := installed(t)
		path := plant(j, units, id)
		write(t, path)
		r := all(t.Context(), j)
		if r.Clean || len(r.Left) != 1 || !strings.Contains(r.Left[0], path) {
			t.Errorf("%s: %+v", name, r)
		}
		if gone(t, path) {
			t.Errorf("%s: what nobody listed was removed", name)
		}
		if gone(t, j.Dir()) {
			t.Errorf("%s: the list went, though something is to be done", name)
		}
	}
	j, units, _ := installed(t)
	other := filepath.Join(units, "daypass-host-"+grant.NewID().String()+".service")
	write(t, other)
	if r := all(t.Context(), j); !r.Clean || gone(t, other) {
		t.Errorf("another session's: %+v", r)
	}
}

func TestMarksOfTheDesktopAreCompared(t *testing.T) {
	j, _, _ := installed(t)
	props := []string{"_NET_SUPPORTED"}
	marks := func() map[string][]string {
		return map[string][]string{"properties of the root window": slices.Clone(props)}
	}
	if err := j.Mark(marks); err != nil {
		t.Fatal(err)
	}
	props = append(props, "WM_OTHER")
	if r := j.Run(t.Context(), nil); !r.Clean {
		t.Fatalf("%+v", r)
	}
	props = append(props, "_DAYPASS_MARK")
	if r := j.Run(t.Context(), nil); r.Clean || len(r.Left) != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestALaterDownloadIsNotOurs(t *testing.T) {
	_, j := setup(t)
	if r := j.Run(t.Context(), nil); !r.Clean {
		t.Fatalf("%+v", r)
	}
	path := filepath.Join(filepath.Dir(j.Dir()), "Support_x")
	write(t, path)
	next, err := Open(j.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if r := all(t.Context(), next); !r.Clean || gone(t, path) {
		t.Errorf("%+v", r)
	}
}

func TestATornLogCountsUpToTheTear(t *testing.T) {
	got := parseSteps([]byte("{\"do\":\"run\"}\n{\"path\":\"/a\",\"do\":\"done\"}\n{\"path\":\"/b\",\"do\":\"do"))
	if len(got) != 2 || got[1] != (stepLine{"/a", "done"}) {
		t.Errorf("%+v", got)
	}
}

func FuzzParseSteps(f *testing.F) {
	f.Add([]byte("{\"do\":\"run\"}\n"))
	f.Fuzz(func(_ *testing.T, b []byte) { parseSteps(b) })
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"places":{"/a":{"entries":{"b":"c"}}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		for dir := range m.Places {
			if !filepath.IsAbs(dir) {
				t.Fatalf("%q", dir)
			}
		}
	})
}
