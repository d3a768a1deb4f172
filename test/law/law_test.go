// Package law keeps the rules that hold for the whole tree: who may import
// what, that packages say what they are for, that parsers are fuzzed, and that
// nothing in the tree names a machine. Each rule carries its reason.
package law

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

type file struct {
	path string // slash path from the root
	pkg  string // folder, "" for the root
	test bool
	ast  *ast.File
}

var fset = token.NewFileSet()

func files(t *testing.T) []file {
	t.Helper()
	var out []file
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			switch d.Name() {
			case "node_modules", ".git", "testdata", "cache", "bin":
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			return nil
		}
		f, err := parser.ParseFile(fset, p, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := path.Dir(rel)
		if pkg == "." {
			pkg = ""
		}
		out = append(out, file{path: rel, pkg: pkg, test: strings.HasSuffix(rel, "_test.go"), ast: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d Go files found: the walk is broken", len(out))
	}
	return out
}

func under(pkg string, dirs ...string) bool {
	for _, d := range dirs {
		if pkg == d || strings.HasPrefix(pkg, d+"/") {
			return true
		}
	}
	return false
}

// A rule forbids imports. who says whom it concerns, what which import.
type rule struct {
	reason string
	who    func(f file) bool
	what   func(imp string) bool
}

func only(prefix string, dirs ...string) rule {
	return rule{
		who: func(f file) bool {
			return !slices.ContainsFunc(dirs, func(d string) bool { return d == "" && f.pkg == "" || d != "" && under(f.pkg, d) })
		},
		what: func(imp string) bool { return imp == prefix || strings.HasPrefix(imp, prefix+"/") },
	}
}

func never(who string, what ...string) rule {
	return rule{
		who: func(f file) bool { return under(f.pkg, who) },
		what: func(imp string) bool {
			return slices.ContainsFunc(what, func(w string) bool {
				return under(strings.TrimPrefix(imp, "daypass/"), w) && strings.HasPrefix(imp, "daypass/")
			})
		},
	}
}

func because(reason string, r rule) rule { r.reason = reason; return r }

var rules = []rule{
	because("Wails is the window, not the product: everything else must run without one", only("github.com/wailsapp/wails", "")),
	because("one place keeps the connection policy", only("github.com/pion/webrtc", "backend/peer")),
	because("one place decides where secrets lie", only("github.com/zalando/go-keyring", "backend/account")),
	because("capture stays behind screen.Source", only("github.com/kbinani/screenshot", "hostsvc/screen")),
	because("SQL stays in store packages", only("github.com/mattn/go-sqlite3", "backend/store", "signaling/store")),
	because("the customer's program is small and brings no database, and must not know the console", never("hostsvc",
		"backend/store", "backend/console", "backend/account", "backend/view", "backend/mail", "backend/desk", "backend/export", "signaling")),
	because("the server must not be able to read a session", never("signaling", "backend/pairing", "backend/peer", "backend/picture", "backend/desk", "backend/console", "hostsvc")),
	because("the root wires the embedded server; the product runs without one", never("backend", "hostsvc", "signaling")),
	because("leaves carry no one", never("backend/fault", "backend", "hostsvc", "signaling")),
	because("the signed facts are shared with the server", never("backend/grant", "backend/pairing", "backend/peer", "backend/wire", "backend/rendezvous")),
	because("the protocol does not know who speaks it", never("backend/wire", "backend/pairing", "backend/peer", "backend/rendezvous", "backend/picture", "backend/desk")),
	because("an export is made of what is handed in", never("backend/export", "backend/store", "backend/desk", "backend/console", "hostsvc", "signaling")),
	because("the picture does not know how it travels", never("backend/picture", "backend/peer", "backend/view", "backend/desk")),
	because("pairing has no I/O", never("backend/pairing", "backend/rendezvous", "backend/peer")),
	because("the customer's window only shows and asks; it decides nothing", never("hostsvc/consent", "hostsvc/host", "backend/peer", "backend/pairing", "backend/rendezvous")),
}

func TestLawOfImports(t *testing.T) {
	for _, f := range files(t) {
		if f.test || under(f.pkg, "test", "build") {
			continue
		}
		for _, spec := range f.ast.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if imp == "daypass/"+f.pkg || under(strings.TrimPrefix(imp, "daypass/"), f.pkg) && f.pkg != "" {
				continue // own folder
			}
			for _, r := range rules {
				if r.who(f) && r.what(imp) {
					t.Errorf("%s imports %s: %s", f.path, imp, r.reason)
				}
			}
		}
	}
}

// The rules above see direct imports; what a program finally links is asked of
// the go tool.
func TestWhatProgramsLink(t *testing.T) {
	for prog, bad := range map[string][]string{
		"./hostsvc":   {"github.com/mattn/go-sqlite3", "github.com/wailsapp/", "github.com/zalando/go-keyring", "daypass/backend/store", "daypass/signaling/"},
		"./signaling": {"github.com/pion/webrtc", "github.com/wailsapp/", "daypass/backend/pairing", "daypass/backend/peer", "daypass/hostsvc"},
	} {
		for _, p := range deps(t, prog) {
			for _, b := range bad {
				if strings.HasPrefix(p, b) {
					t.Errorf("%s links %s", prog, p)
				}
			}
		}
	}
}

// xgb's tables belong to all connections of a process and have no lock;
// hostsvc/xserver completes them before main, for the extensions it imports.
func TestHostOpensXOnlyThroughXserver(t *testing.T) {
	known := []string{"github.com/jezek/xgb"}
	for _, f := range files(t) {
		if f.pkg == "hostsvc/xserver" && !f.test {
			for _, spec := range f.ast.Imports {
				known = append(known, strings.Trim(spec.Path.Value, `"`))
			}
		}
		if !under(f.pkg, "hostsvc") || under(f.pkg, "hostsvc/xserver", "hostsvc/screen/screentest") || f.test {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if e, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(e.Sel.Name, "NewConn") {
				if id, ok := e.X.(*ast.Ident); ok && id.Name == "xgb" {
					t.Errorf("%s opens a connection itself: hostsvc/xserver does", f.path)
				}
			}
			return true
		})
	}
	for _, p := range deps(t, "./hostsvc") {
		if under(p, "github.com/jezek/xgb") && !slices.Contains(known, p) {
			t.Errorf("the host links %s, whose Init writes a map that other connections read: import it in hostsvc/xserver/tables.go", p)
		}
	}
}

// deps are the packages that a program links.
func deps(t *testing.T, prog string) []string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", prog)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", prog, err)
	}
	return strings.Fields(string(out))
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	docs := map[string]int{}
	for _, f := range files(t) {
		if f.test && f.pkg != "test/law" {
			continue
		}
		pkg := f.pkg
		if path.Base(pkg) != f.ast.Name.Name && f.ast.Name.Name == "main" {
			pkg += " (command)" // a generator beside the package it writes for
		}
		if _, ok := docs[pkg]; !ok {
			docs[pkg] = 0
		}
		if f.ast.Doc != nil && len(f.ast.Doc.Text()) > 60 {
			docs[pkg]++
		}
	}
	for pkg, n := range docs {
		if n == 0 {
			t.Errorf("package %q has no doc comment that says what it is for", pkg)
		}
		if n > 1 {
			t.Errorf("package %q has %d package comments; one is enough", pkg, n)
		}
	}
}

var parserName = regexp.MustCompile(`^(Parse|Decode|Unmarshal|Open|Join)`)

// isParser reports whether an exported function reads bytes or text that may
// come from outside.
func isParser(fn *ast.FuncDecl) bool {
	if fn.Recv != nil || !fn.Name.IsExported() || !parserName.MatchString(fn.Name.Name) {
		return false
	}
	params := fn.Type.Params.List
	if len(params) == 0 || fn.Type.Results == nil {
		return false
	}
	switch p := params[0].Type.(type) {
	case *ast.Ident:
		return p.Name == "string" && strings.HasPrefix(fn.Name.Name, "Parse") || p.Name == "string" && strings.HasPrefix(fn.Name.Name, "Decode")
	case *ast.ArrayType:
		id, ok := p.Elt.(*ast.Ident)
		return ok && p.Len == nil && id.Name == "byte"
	}
	return false
}

func TestEveryExportedParserIsFuzzed(t *testing.T) {
	fuzzed := map[string]string{} // package → source of its fuzz targets
	parsers := map[string][]string{}
	for _, f := range files(t) {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if f.test && strings.HasPrefix(fn.Name.Name, "Fuzz") {
				b, err := os.ReadFile(filepath.Join(root, f.path))
				if err != nil {
					t.Fatal(err)
				}
				fuzzed[f.pkg] += string(b[fset.Position(fn.Pos()).Offset:fset.Position(fn.End()).Offset])
			}
			if !f.test && f.ast.Name.Name != "main" && isParser(fn) {
				parsers[f.pkg] = append(parsers[f.pkg], fn.Name.Name)
			}
		}
	}
	n := 0
	for pkg, names := range parsers {
		for _, name := range names {
			n++
			if !regexp.MustCompile(`\b` + name + `\(`).MatchString(fuzzed[pkg]) {
				t.Errorf("%s.%s reads what comes from outside and no fuzz target in its package calls it", pkg, name)
			}
		}
	}
	if n < 5 {
		t.Fatalf("only %d parsers found: the search is broken", n)
	}
}

func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
}

func TestNothingNamesAMachineOrARegistry(t *testing.T) {
	// Written in pieces so that this file does not break its own rule.
	hosts := regexp.MustCompile(`(deb|security)\.deb` + `ian\.org|registry\.npm` + `js|pro` + `xy\.golang`)
	paths := regexp.MustCompile(`(^|[^a-zA-Z0-9_./])/wo` + `rk/(main|shared|steering)|/tmp/bash` + `_jobs|\.\./sha` + `red`)
	for _, p := range tracked(t) {
		b, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			continue // deleted in the work tree
		}
		if bytes.IndexByte(b[:min(len(b), 8000)], 0) >= 0 {
			continue
		}
		if m := hosts.Find(b); m != nil {
			t.Errorf("%s names a package registry: %s", p, m)
		}
		if m := paths.Find(b); m != nil {
			t.Errorf("%s names a path of one machine: %s", p, m)
		}
	}
}

// The About page names what others made, completely, and all of it may be used.
func TestLicencesAreTrueAndPermissive(t *testing.T) {
	cmd := exec.Command("go", "run", "./build/licences", "-check")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}

func TestModuleHasNoReplace(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?m)^\s*replace\b`).Match(b) {
		t.Error("go.mod replaces a module: what we build would not be what others get")
	}
}

// Released migrations never change: a store that already ran one would differ
// from a new one. A new migration is added to migrations.sum by hand.
func TestMigrationsNeverChange(t *testing.T) {
	known := map[string]string{}
	sums, err := os.Open("migrations.sum")
	if err != nil {
		t.Fatal(err)
	}
	defer sums.Close()
	for s := bufio.NewScanner(sums); s.Scan(); {
		sum, name, ok := strings.Cut(s.Text(), "  ")
		if !ok {
			t.Fatalf("migrations.sum: %q", s.Text())
		}
		known[name] = sum
	}
	for _, p := range tracked(t) {
		if !strings.Contains(p, "/migrations/") || !strings.HasSuffix(p, ".sql") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(root, p))
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.Sum256(b)
		if sum := hex.EncodeToString(h[:]); known[p] != sum {
			t.Errorf("%s: sum %s is not the one in migrations.sum (%q)", p, sum, known[p])
		}
		delete(known, p)
	}
	for p := range known {
		t.Errorf("%s is in migrations.sum but not in the tree", p)
	}
}
