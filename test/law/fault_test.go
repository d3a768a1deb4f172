package law

import (
	"go/build/constraint"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A program that can be made to kill itself must not reach anybody: only files
// under the tag fault know how, only tests build with it, and nothing that is
// released does.
func TestFaultPointsAreNeverReleased(t *testing.T) {
	armed := 0
	for _, f := range files(t) {
		tagged := false
		for _, g := range f.ast.Comments {
			for _, c := range g.List {
				if !constraint.IsGoBuild(c.Text) || c.Pos() > f.ast.Package {
					continue
				}
				x, err := constraint.Parse(c.Text)
				if err != nil {
					t.Fatal(err)
				}
				with := x.Eval(func(tag string) bool { return true })
				without := x.Eval(func(tag string) bool { return tag != "fault" })
				tagged = tagged || with && !without
			}
		}
		if tagged {
			armed++
			if f.pkg != "backend/faultpoint" {
				t.Errorf("%s has the tag fault: backend/faultpoint alone knows how to kill", f.path)
			}
		}
		b, err := os.ReadFile(filepath.Join(root, f.path))
		if err != nil {
			t.Fatal(err)
		}
		if !tagged && !f.test && strings.Contains(string(b), "DAYPASS_FAULT=") {
			t.Errorf("%s arms a fault point outside of a test", f.path)
		}
	}
	if armed != 1 {
		t.Errorf("%d files have the tag fault: the search is broken", armed)
	}
	tags := regexp.MustCompile(`(?m)^.*(?:-tags|TAGS)[^\n]*\bfault\b.*$`)
	seen := 0
	for _, p := range tracked(t) {
		if base := filepath.Base(p); base != "Makefile" && !strings.HasSuffix(base, ".sh") && !strings.HasSuffix(base, ".json") && !strings.HasPrefix(p, ".ci/") && !strings.HasPrefix(p, "build/") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			continue // deleted in the work tree
		}
		seen++
		for _, l := range tags.FindAllString(string(b), -1) {
			t.Errorf("%s builds with the tag fault: %s", p, strings.TrimSpace(l))
		}
	}
	if seen < 5 {
		t.Fatalf("only %d files of the build found: the search is broken", seen)
	}
	for _, prog := range []string{"build/bin/daypass", "build/bin/daypass-signaling", "build/bin/downloads/daypass-host-linux-amd64"} {
		b, err := os.ReadFile(filepath.Join(root, prog))
		if err == nil && strings.Contains(string(b), "DAYPASS_FAULT") { // where it was built
			t.Errorf("%s can be made to kill itself", prog)
		}
	}
}
