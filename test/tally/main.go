// Command tally reads what a test runner prints, shows people what they need
// of it, and keeps count: one line "passed failed skipped" is appended to the
// file that -to names. "tally -sum FILE" adds the lines up. It must not decide
// whether a stage passed: that is the runner's exit code.
//
//	go test -json ./... | tally -to FILE go
//	vitest run          | tally -to FILE vitest
//	node --test         | tally -to FILE node
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// count is how many tests ended how.
type count struct{ passed, failed, skipped int }

func main() {
	to := flag.String("to", "", "`file` that the count is appended to")
	sum := flag.String("sum", "", "add up the lines of `file`")
	verbose := flag.Bool("v", false, "show what passing tests print, too")
	flag.Parse()
	if err := run(*to, *sum, *verbose, flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

func run(to, sum string, verbose bool, kind string) error {
	if sum != "" {
		c, err := add(sum)
		if err != nil {
			return err
		}
		fmt.Println(c)
		return nil
	}
	var c count
	var err error
	switch kind {
	case "go":
		c, err = goTests(os.Stdin, os.Stdout, verbose)
	case "vitest", "node":
		c, err = said(os.Stdin, os.Stdout, kind)
	default:
		err = fmt.Errorf("unknown runner %q: go, vitest, node", kind)
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = fmt.Fprintln(f, c.passed, c.failed, c.skipped); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// String is the closing line.
func (c count) String() string {
	s := fmt.Sprintf("%d passed, %d failed", c.passed, c.failed)
	if c.skipped > 0 {
		s += fmt.Sprintf(", %d skipped", c.skipped)
	}
	return s
}

func add(file string) (count, error) {
	f, err := os.Open(file)
	if err != nil {
		return count{}, err
	}
	defer f.Close()
	var c count
	for lines := bufio.NewScanner(f); ; {
		if !lines.Scan() {
			return c, lines.Err()
		}
		var n count
		if _, err := fmt.Sscan(lines.Text(), &n.passed, &n.failed, &n.skipped); err != nil {
			return c, fmt.Errorf("%s: %q: %w", file, lines.Text(), err)
		}
		c.passed, c.failed, c.skipped = c.passed+n.passed, c.failed+n.failed, c.skipped+n.skipped
	}
}

// paper is written on until it takes no more.
type paper struct {
	to  io.Writer
	err error
}

func (p *paper) put(s string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.to, s)
	}
}

// event is a line of go test -json (go doc test2json).
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// goTests shows a line a package, and all that a failed or skipped test or a
// package without a verdict of its own printed. Only tests without tests inside
// are counted.
func goTests(in io.Reader, to io.Writer, verbose bool) (count, error) {
	out := &paper{to: to}
	var c count
	printed := map[string][]string{}                 // by package and test
	parent := map[string]bool{}                      // tests that have tests inside
	tests, bad := map[string]int{}, map[string]int{} // by package
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil { // the go command itself speaks
			out.put(lines.Text() + "\n")
			continue
		}
		id := e.Package + " " + e.Test
		switch e.Action {
		case "build-output":
			out.put(e.Output)
		case "run":
			for at := strings.LastIndexByte(e.Test, '/'); at > 0; at = strings.LastIndexByte(e.Test[:at], '/') {
				parent[e.Package+" "+e.Test[:at]] = true
			}
		case "output":
			if verbose {
				out.put(e.Output)
			} else {
				printed[id] = append(printed[id], e.Output)
			}
		case "pass", "fail", "skip":
			if e.Test == "" {
				verdict(out, e, tests[e.Package])
				if e.Action == "fail" {
					// What tests had printed that never ended: the process was killed or ran out of time.
					for _, id := range slices.Sorted(maps.Keys(printed)) {
						if strings.HasPrefix(id, e.Package+" ") {
							out.put(strings.Join(printed[id], ""))
						}
					}
					if bad[e.Package] == 0 { // not compiled, or no test had failed yet
						c.failed++
					}
				}
				maps.DeleteFunc(printed, func(id string, _ []string) bool { return strings.HasPrefix(id, e.Package+" ") })
				continue
			}
			if e.Action != "pass" {
				out.put(strings.Join(printed[id], ""))
			}
			delete(printed, id)
			if e.Action == "fail" {
				bad[e.Package]++
			}
			if parent[id] {
				continue
			}
			tests[e.Package]++
			switch e.Action {
			case "pass":
				c.passed++
			case "fail":
				c.failed++
			case "skip":
				c.skipped++
			}
		}
	}
	return c, errors.Join(lines.Err(), out.err)
}

func verdict(out *paper, e event, tests int) {
	switch {
	case e.Action == "fail":
		out.put(fmt.Sprintf("FAIL %-36s %6.1f s\n", e.Package, e.Elapsed))
	case tests > 0:
		out.put(fmt.Sprintf("ok   %-36s %6.1f s  %3d tests\n", e.Package, e.Elapsed, tests))
	}
}

var (
	colour = regexp.MustCompile("\x1b\\[[0-9;]*m")
	vitest = regexp.MustCompile(`(\d+) (passed|failed|skipped|todo)`)
	node   = regexp.MustCompile(`^\S+ (pass|fail|cancelled|skipped|todo) (\d+)$`)
)

// said copies what the runner prints and takes the count from its summary.
func said(in io.Reader, to io.Writer, kind string) (count, error) {
	out := &paper{to: to}
	var c count
	take := func(what string, number string) error {
		n, err := strconv.Atoi(number)
		switch what {
		case "pass", "passed":
			c.passed += n
		case "fail", "failed", "cancelled":
			c.failed += n
		default:
			c.skipped += n
		}
		return err
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		out.put(lines.Text() + "\n")
		l := strings.TrimSpace(colour.ReplaceAllString(lines.Text(), ""))
		if kind == "node" {
			if m := node.FindStringSubmatch(l); m != nil {
				if err := take(m[1], m[2]); err != nil {
					return c, err
				}
			}
			continue
		}
		if strings.HasPrefix(l, "Tests ") {
			for _, m := range vitest.FindAllStringSubmatch(l, -1) {
				if err := take(m[2], m[1]); err != nil {
					return c, err
				}
			}
		}
	}
	if err := errors.Join(lines.Err(), out.err); err != nil {
		return c, err
	}
	if c == (count{}) {
		return c, fmt.Errorf("%s said no count", kind)
	}
	return c, nil
}
