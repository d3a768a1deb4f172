package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestGoTests(t *testing.T) {
	in := strings.Join([]string{
		`{"Action":"run","Package":"a","Test":"TestOne"}`,
		`{"Action":"output","Package":"a","Test":"TestOne","Output":"quiet\n"}`,
		`{"Action":"pass","Package":"a","Test":"TestOne"}`,
		`{"Action":"run","Package":"a","Test":"TestMany"}`,
		`{"Action":"run","Package":"a","Test":"TestMany/x"}`,
		`{"Action":"output","Package":"a","Test":"TestMany/x","Output":"want 1\n"}`,
		`{"Action":"fail","Package":"a","Test":"TestMany/x"}`,
		`{"Action":"fail","Package":"a","Test":"TestMany"}`,
		`{"Action":"run","Package":"a","Test":"TestLater"}`,
		`{"Action":"skip","Package":"a","Test":"TestLater"}`,
		`{"Action":"fail","Package":"a","Elapsed":1.5}`,
		`{"ImportPath":"b","Action":"build-output","Output":"b.go:1: no\n"}`,
		`{"Action":"fail","Package":"b"}`,
		`{"Action":"skip","Package":"c"}`,
		`{"Action":"run","Package":"d","Test":"TestEndless"}`,
		`{"Action":"output","Package":"d","Test":"TestEndless","Output":"panic: test timed out\n"}`,
		`{"Action":"fail","Package":"d"}`,
		`go: warning`,
	}, "\n")
	var out strings.Builder
	c, err := goTests(strings.NewReader(in), &out, false)
	if err != nil {
		t.Fatal(err)
	}
	if want := (count{passed: 1, failed: 3, skipped: 1}); c != want {
		t.Errorf("counted %v, want %v", c, want)
	}
	for _, want := range []string{"want 1\n", "FAIL a ", "b.go:1: no\n", "FAIL b ", "panic: test timed out\n", "go: warning\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "quiet") {
		t.Errorf("shows what a passing test printed:\n%s", out.String())
	}
}

func TestSaid(t *testing.T) {
	for _, c := range []struct {
		kind, in string
		want     count
	}{
		{"vitest", " Test Files  9 passed (9)\n\x1b[2m      Tests \x1b[22m \x1b[1m2 failed\x1b[22m | 95 passed | 1 skipped (98)\n", count{95, 2, 1}},
		{"node", "# tests 31\n# pass 29\n# fail 1\n# cancelled 1\n# skipped 0\n# todo 0\n", count{29, 2, 0}},
		{"node", "ℹ tests 3\nℹ pass 3\nℹ fail 0\n", count{3, 0, 0}},
	} {
		got, err := said(strings.NewReader(c.in), &strings.Builder{}, c.kind)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v; want %v", c.kind, got, err, c.want)
		}
	}
	if _, err := said(strings.NewReader("killed\n"), &strings.Builder{}, "node"); err == nil {
		t.Error("a runner without a summary passes")
	}
}

func TestSum(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tally")
	if err := os.WriteFile(file, []byte("3 0 0\n4 1 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := add(file)
	if err != nil || c.String() != "7 passed, 1 failed, 2 skipped" {
		t.Errorf("%v, %v", c, err)
	}
	if s := (count{passed: 7}).String(); s != "7 passed, 0 failed" {
		t.Error(s)
	}
}
