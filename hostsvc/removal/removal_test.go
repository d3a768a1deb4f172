package removal

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daypass/backend/fault"
)

func put(t *testing.T, j *Journal, k Kind, path string) {
	t.Helper()
	if err := j.Add(Item{Kind: k, Path: path, What: filepath.Base(path)}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func gone(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	return os.IsNotExist(err)
}

func setup(t *testing.T) (base string, j *Journal) {
	t.Helper()
	base = t.TempDir()
	j, err := Start(filepath.Join(base, "daypass-host-x"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, j, Secret, filepath.Join(j.Dir(), "keys"))
	put(t, j, Program, filepath.Join(base, "Support_x"))
	put(t, j, File, filepath.Join(base, "lock"))
	return base, j
}

func TestEverythingIsRemovedAndCheckedAndTheRestStays(t *testing.T) {
	base, j := setup(t)
	other := filepath.Join(base, "customer.txt")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var steps []int
	first := j.Run(t.Context(), func(done, _ int) { steps = append(steps, done) })
	if !first.Clean || len(first.Removed) != 3 || len(first.Last) != 1 || gone(t, j.Dir()) {
		t.Errorf("%+v", first)
	}
	if again := j.Run(t.Context(), nil); !again.Clean || len(again.Removed) != 3 {
		t.Errorf("repeated: %+v", again)
	}
	r := j.Finish(t.Context(), first, nil)
	if !r.Clean || len(r.Removed) != 4 || len(r.Left) != 0 || len(r.Last) != 0 {
		t.Errorf("%+v", r)
	}
	if e, err := os.ReadDir(base); err != nil || len(e) != 1 || gone(t, other) {
		t.Errorf("left: %v", e)
	}
	if len(steps) != 4 {
		t.Errorf("steps %v", steps)
	}
	if again := j.Finish(t.Context(), first, nil); !again.Clean || again.Hash() != r.Hash() {
		t.Errorf("repeated: %+v", again)
	}
}

// all does both phases, as a program does that reaches the server at once.
func all(ctx context.Context, j *Journal) Report { return j.Finish(ctx, j.Run(ctx, nil), nil) }

// A process that stops after any step is followed by one that reads the journal and finishes.
func TestWhatWasStoppedAfterAnyStepIsFinishedByTheNextProcess(t *testing.T) {
	for at := range 3 {
		base, j := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		first := j.Run(ctx, func(done, _ int) {
			if done == at {
				cancel()
			}
		})
		cancel()
		if first.Clean {
			t.Fatalf("stopped at %d and clean: %+v", at, first)
		}
		next, err := Open(j.Dir())
		if err != nil {
			t.Fatalf("stopped at %d: %v", at, err)
		}
		if r := all(t.Context(), next); !r.Clean || r.Resumed != 1 {
			t.Fatalf("stopped at %d: %+v", at, r)
		}
		if e, err := os.ReadDir(base); err != nil || len(e) != 0 {
			t.Fatalf("stopped at %d: left %v", at, e)
		}
	}
}

func TestWhatCannotBeRemovedIsReportedAndTheKeysAreGoneAllTheSame(t *testing.T) {
	base, j := setup(t)
	stuck := filepath.Join(base, "stuck")
	if err := j.Add(Item{Kind: File, Path: stuck, What: "a copied file"}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(stuck, "in"), 0o700); err != nil { // a folder where a file was listed
		t.Fatal(err)
	}
	r := all(t.Context(), j)
	if r.Clean || len(r.Left) != 1 || !strings.Contains(strings.Join(r.Lines(), "\n"), "left: a copied file ("+stuck+")") {
		t.Errorf("%+v", r)
	}
	if !gone(t, filepath.Join(j.Dir(), "keys")) || gone(t, stuck) {
		t.Error("keys stayed, or a folder that is not ours went")
	}
	if err := os.RemoveAll(stuck); err != nil {
		t.Fatal(err)
	}
	next, err := Open(j.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if r := all(t.Context(), next); !r.Clean {
		t.Errorf("%+v", r)
	}
}

func TestLinksAreNotFollowed(t *testing.T) {
	base := t.TempDir()
	target := filepath.Join(base, "precious")
	if err := os.MkdirAll(target, 0o700); err != nil {
		t.Fatal(err)
	}
	keep := filepath.Join(target, "keep")
	if err := os.WriteFile(keep, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := Start(filepath.Join(base, "daypass-host-y"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(j.Dir(), "in")); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(base, "daypass-host-link")
	if err := j.Add(Item{Kind: Folder, Path: link, What: "l"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if r := all(t.Context(), j); !r.Clean {
		t.Errorf("%+v", r)
	}
	if b, err := os.ReadFile(keep); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestDamagedOrForeignListsRemoveNothing(t *testing.T) {
	for _, bad := range []string{"", "{", `[{"kind":"file","path":"relative","what":""}]`, `[{"kind":"folder","path":"/home","what":""}]`, `[{"kind":"folder","path":"/a/../daypass-host-x","what":""}]`, `[{"kind":"unit","path":"/etc/systemd/system/sshd.service","what":""}]`, `[{"kind":"file","path":"/a","what":"","user":true}]`, `[{"kind":"x","path":"/a","what":""}]`, `[{"kind":"file","path":"/","what":""}]`, `[{"kind":"file","path":"/a","what":"","more":1}]`} {
		if _, err := ParseItems([]byte(bad)); fault.KindOf(err) != fault.Corrupt {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := Start("/tmp/else"); err == nil {
		t.Error("a folder of another name")
	}
	_, j := setup(t)
	if _, err := Start(j.Dir()); fault.KindOf(err) != fault.Conflict {
		t.Errorf("twice: %v", err)
	}
}

func FuzzParseItems(f *testing.F) {
	f.Add([]byte(`[{"kind":"file","path":"/a","what":"b"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		items, err := ParseItems(b)
		if err != nil {
			return
		}
		for _, it := range items {
			if !filepath.IsAbs(it.Path) || filepath.Clean(it.Path) != it.Path {
				t.Fatalf("%q", it.Path)
			}
		}
	})
}

func TestFoldersOfOthersStayAndRootsThingsAreWaitedFor(t *testing.T) {
	awaitLimit = 200 * time.Millisecond
	t.Cleanup(func() { awaitLimit = 15 * time.Second })
	base := t.TempDir()
	j, err := Start(filepath.Join(base, folderPrefix+"a"))
	if err != nil {
		t.Fatal(err)
	}
	at := func(n string) string { return filepath.Join(base, n) }
	for _, it := range []Item{
		{Kind: Parent, Path: at("empty"), What: "an empty folder"},
		{Kind: Parent, Path: at("shared"), What: "a shared folder"},
		{Kind: System, Path: at("unit"), What: "a unit"},
		{Kind: System, Path: at("stuck"), What: "a stuck unit"},
	} {
		if err := j.Add(it); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"empty", "shared", "shared/theirs"} {
		if err := os.Mkdir(at(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"unit", "stuck"} {
		if err := os.WriteFile(at(f), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	go func() { time.Sleep(60 * time.Millisecond); _ = os.Remove(at("unit")) }()
	r := j.Run(t.Context(), nil)
	if _, err := os.Stat(at("empty")); err == nil {
		t.Error("the empty folder stays")
	}
	if _, err := os.Stat(at("shared/theirs")); err != nil {
		t.Error(err)
	}
	if len(r.Left) == 0 || r.Clean || !strings.Contains(strings.Join(r.Left, " "), "stuck") || strings.Contains(strings.Join(r.Left, " "), "shared") {
		t.Errorf("%+v", r)
	}
}
