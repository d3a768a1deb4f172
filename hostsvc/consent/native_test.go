package consent

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"daypass/backend/fault"
)

// What the program says in English in a page has its German.
func TestWhatTheProgramSaysHasItsGerman(t *testing.T) {
	what := regexp.MustCompile(`What: *"([^"]+)"`)
	refused := regexp.MustCompile(`fault\.(?:New|Wrap)\((?:err, )?fault\.[^"]*"([a-z.]+)", "([^"]*)", "([^"]*)"\)`)
	n := 0
	for _, dir := range []string{"host", "removal", "service", "lease", "."} {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		if dir == "." {
			files = []string{"../keeper_linux.go", "../main.go"}
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			missing := func(s string) {
				if n++; s != "" && Native(s, "de") == s {
					t.Errorf("%s: %q has no German", f, s)
				}
			}
			for _, m := range what.FindAllStringSubmatch(string(b), -1) {
				missing(m[1])
			}
			if dir != "host" && dir != "removal" && dir != "lease" {
				continue
			}
			switch filepath.Base(f) {
			case "lock.go", "state.go", "receipt.go", "pair.go", "removal.go", "lease.go", "note.go":
				for _, m := range refused.FindAllStringSubmatch(string(b), -1) {
					missing(m[2])
					missing(m[3])
				}
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d texts were found", n)
	}
}

func TestRefusalsAndRemovalsAreSaidInGerman(t *testing.T) {
	said := func(m Model) (all string) {
		for _, b := range Describe(m, "de").Blocks {
			all += b.Text + "\n"
			for _, i := range b.Items {
				all += i.Text + "\n"
			}
		}
		return all
	}
	if s := said(Model{Screen: Refused, Fault: fault.New(fault.Full, "host.store", "The program cannot store what it needs.", "Make some room on the disk, then try again.")}); !strings.Contains(s, "nicht speichern") || !strings.Contains(s, "Schaffen Sie") {
		t.Error(s)
	}
	if s := said(Model{Screen: Removed, Report: &Report{Removed: []string{"the keys of the session"}, Left: []string{"the downloaded program (/home/anna/x)"}}}); !strings.Contains(s, "die Schlüssel der Sitzung") || !strings.Contains(s, "das heruntergeladene Programm (/home/anna/x)") {
		t.Error(s)
	}
}
