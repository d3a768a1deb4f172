// Command licences writes build/licences.json, which the About page shows: every
// Go module linked into Daypass's programs, on each system they are built for,
// and every npm package in the console's page, with version and SPDX identifier.
// It fails on a licence that is not permissive, and on a text it does not know.
//
//	go run ./build/licences         after a change of go.mod or package.json
//	go run ./build/licences -check  whether the list is still true (test/law)
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const list = "build/licences.json"

// part is one work of somebody else's in what we ship.
type part struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Licence string `json:"licence"` // SPDX expression
	NPM     bool   `json:"npm,omitempty"`
}

// permissive are the licences that may be linked into what we ship.
var permissive = []string{"MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "0BSD", "MPL-2.0", "blessing"}

func main() {
	check := flag.Bool("check", false, "only say whether the list is true")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	old, err := os.ReadFile(list)
	if err != nil && (check || !errors.Is(err, os.ErrNotExist)) {
		return err
	}
	parts, err := modules()
	if err != nil {
		return err
	}
	var names []string
	if check {
		// What the page contains takes a build to know: only versions and
		// licences are compared.
		var have []part
		if err := json.Unmarshal(old, &have); err != nil {
			return fmt.Errorf("%s: %w", list, err)
		}
		for _, p := range have {
			if p.NPM {
				names = append(names, p.Name)
			}
		}
	} else if names, err = bundled(); err != nil {
		return err
	}
	pages, err := packages(names)
	if err != nil {
		return err
	}
	parts = append(parts, pages...)
	slices.SortFunc(parts, func(a, b part) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range parts {
		for l := range strings.SplitSeq(p.Licence, " AND ") {
			if !slices.Contains(permissive, l) {
				return fmt.Errorf("%s %s: licence %q is not one of %v", p.Name, p.Version, p.Licence, permissive)
			}
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "\t")
	e.SetEscapeHTML(false)
	if err := e.Encode(parts); err != nil {
		return err
	}
	if check {
		if !bytes.Equal(b.Bytes(), old) {
			return errors.New(list + " is not what go.mod and package-lock.json say: go run ./build/licences")
		}
		return nil
	}
	return os.WriteFile(list, b.Bytes(), 0o644)
}

// modules are those linked into the console, the host and the server.
func modules() ([]part, error) {
	found := map[string]part{}
	for _, b := range []struct{ system, tags, program string }{
		{"linux", "desktop,production,webkit2_41", "."},
		{"windows", "desktop,production", "."},
		{"linux", "", "./hostsvc"},
		{"windows", "", "./hostsvc"},
		{"linux", "", "./signaling"},
	} {
		cmd := exec.CommandContext(context.Background(), "go", "list", "-deps", "-tags", b.tags, "-f", "{{with .Module}}{{if not .Main}}{{.Path}}\t{{.Version}}\t{{.Dir}}{{end}}{{end}}", b.program)
		cmd.Env = append(os.Environ(), "GOOS="+b.system, "CGO_ENABLED=1")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", b.program, b.system, err)
		}
		for l := range strings.Lines(string(out)) {
			f := strings.Split(strings.TrimSpace(l), "\t")
			if len(f) != 3 || found[f[0]].Name != "" {
				continue
			}
			licence, err := read(f[2])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f[0], err)
			}
			found[f[0]] = part{Name: f[0], Version: f[1], Licence: licence}
		}
	}
	out := slices.Collect(maps.Values(found))
	const sqlite = "github.com/mattn/go-sqlite3" // brings SQLite, which is in the public domain
	return append(out, part{Name: "SQLite (in " + sqlite + ")", Version: found[sqlite].Version, Licence: "blessing"}), nil
}

// bundled asks the page's bundler which packages it put in.
func bundled() ([]string, error) {
	cmd := exec.CommandContext(context.Background(), "node", "bundled.mjs")
	cmd.Dir = "frontend"
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("frontend/bundled.mjs: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// packages looks names up in the page's lock file.
func packages(names []string) ([]part, error) {
	b, err := os.ReadFile("frontend/package-lock.json")
	if err != nil {
		return nil, err
	}
	var lock struct {
		Packages map[string]struct{ Version, License string }
	}
	if err := json.Unmarshal(b, &lock); err != nil {
		return nil, fmt.Errorf("package-lock.json: %w", err)
	}
	var out []part
	for _, n := range names {
		dir := "node_modules/" + n
		p, ok := lock.Packages[dir]
		if !ok {
			return nil, fmt.Errorf("the page contains %s, which package-lock.json does not name", n)
		}
		if p.License == "" {
			if p.License, err = read(filepath.Join("frontend", dir)); err != nil {
				return nil, fmt.Errorf("%s: %w", n, err)
			}
		}
		out = append(out, part{Name: n, Version: p.Version, Licence: p.License, NPM: true})
	}
	return out, nil
}

// read finds the licence file of a folder and says what it is.
func read(dir string) (string, error) {
	for _, pattern := range []string{"LICEN[CS]E", "LICEN[CS]E.*", "COPYING*", "licen[cs]e*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return "", err
		}
		for _, n := range names {
			b, err := os.ReadFile(n)
			if err != nil {
				return "", err
			}
			if l := recognise(string(b)); l != "" {
				return l, nil
			}
		}
	}
	return "", errors.New("no licence text that is known")
}

// recognise names the licences that a text contains, by the sentence each has
// and no other.
func recognise(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	has := func(s string) bool { return strings.Contains(text, s) }
	var found []string
	if has("Redistribution and use in source and binary forms") {
		if has("Neither the name") || has("names of its contributors") || has("names of the authors may not") {
			found = append(found, "BSD-3-Clause")
		} else {
			found = append(found, "BSD-2-Clause")
		}
	}
	if has("Apache License") && has("TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION") {
		found = append(found, "Apache-2.0")
	}
	if has("Permission is hereby granted, free of charge") {
		found = append(found, "MIT")
	}
	if has("Permission to use, copy, modify, and/or distribute this software for any purpose") || has("Permission to use, copy, modify, and distribute this software for any purpose") {
		found = append(found, "ISC")
	}
	if has("Mozilla Public License Version 2.0") || has("Mozilla Public License, version 2.0") {
		found = append(found, "MPL-2.0")
	}
	if has("GNU GENERAL PUBLIC LICENSE") || has("GNU LESSER GENERAL PUBLIC") {
		found = append(found, "GPL")
	}
	return strings.Join(found, " AND ")
}
