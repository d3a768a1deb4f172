package main

import (
	"testing"

	"daypass/backend/fault"
)

func TestASecondStartOnOneProfileIsSaid(t *testing.T) {
	dir := t.TempDir()
	release, err := lockProfile(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = lockProfile(dir)
	if f := fault.Of(err); f == nil || f.Kind != fault.Conflict || f.Hint == "" {
		t.Errorf("%v", err)
	}
	release()
	release, err = lockProfile(dir)
	if err != nil {
		t.Errorf("after the first ended: %v", err)
	}
	release()
}
