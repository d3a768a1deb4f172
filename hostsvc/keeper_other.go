//go:build !linux

package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"daypass/backend/fault"
	"daypass/backend/pairing"
	"daypass/hostsvc/host"
)

// began is what the name of the downloaded file said.
type began struct {
	Link    string
	Renamed bool
	Program string
}

func started() (began, func()) {
	exe, err := os.Executable()
	if err != nil {
		return began{}, func() {}
	}
	name := filepath.Base(exe)
	if l, err := pairing.ParseFileName(name); err == nil {
		return began{Link: l.String(), Program: exe}, func() {}
	}
	if strings.HasPrefix(strings.ToLower(name), "support_") {
		return began{Renamed: true, Program: exe}, func() {}
	}
	return began{}, func() {}
}

func relocate(*slog.Logger) {}

func sweepStarts(string) {}

func newKeeper(string, *slog.Logger) host.Keeper { return nil }

func unsupported(errOut io.Writer) int {
	say(errOut, fault.New(fault.Unsupported, "service", "This program has no service on this system yet.", ""))
	return 1
}

func installSystem(_ context.Context, _ io.Reader, errOut io.Writer) int { return unsupported(errOut) }

func serviceSystem(_ context.Context, _ string, errOut io.Writer, _ *slog.Logger) int {
	return unsupported(errOut)
}

func servicePerson(_ context.Context, _, _ string, _ bool, _, errOut io.Writer, _ *slog.Logger) int {
	return unsupported(errOut)
}

func mayWrite(string) bool { return true }
