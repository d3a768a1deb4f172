package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestLogStaysBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "daypass.log")
	l, err := openLogFile(path)
	if err != nil {
		t.Fatal(err)
	}
	line := bytes.Repeat([]byte{'x'}, 100_000)
	for range 3 * maxLog / len(line) {
		if n, err := l.Write(line); err != nil || n != len(line) {
			t.Fatal(n, err)
		}
	}
	last := []byte("the last line\n")
	if _, err := l.Write(last); err != nil {
		t.Fatal(err)
	}
	l.close()
	for _, p := range []string{path, path + ".1"} {
		b, err := os.ReadFile(p)
		if err != nil || len(b) > maxLog || len(b) == 0 {
			t.Errorf("%s: %d bytes, %v", filepath.Base(p), len(b), err)
		}
		if p == path && !bytes.HasSuffix(b, last) {
			t.Error("the last line is not at the end")
		}
	}
	if _, err := l.Write(last); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	if l, err = openLogFile(path); err != nil || l.size == 0 {
		t.Errorf("opened anew: %v", err)
	}
	l.close()
}
