//go:build linux

package host

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
	"daypass/hostsvc/consent"
	"daypass/hostsvc/removal"
)

// lastWords is a signaling server that takes ends and removals, or is down.
type lastWords struct {
	mu      sync.Mutex
	down    bool
	ended   []string
	removed []grant.Signed
}

func (s *lastWords) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end, gone := strings.HasSuffix(r.URL.Path, "/end"), strings.HasSuffix(r.URL.Path, "/removed")
	if s.down || (!end && !gone) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var in protocol.Fact
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&in); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if end {
		s.ended = append(s.ended, string(in.Fact.Body))
	} else {
		s.removed = append(s.removed, in.Fact)
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, "{}")
}

// installed is a computer on which a session goes on whose program is not
// running at this moment: state folder, downloaded program, unit, link.
type installed struct {
	t                          *testing.T
	top, image, units, program string
	env                        []string
	server                     *lastWords
	hostKey                    grant.Key
	exe                        string
}

// install builds the real program, activates a session, and puts a unit there.
func install(t *testing.T, exe string) *installed {
	t.Helper()
	top := t.TempDir()
	c := &installed{t: t, top: filepath.Join(top, "pc"), image: filepath.Join(top, "image"), server: &lastWords{}, exe: exe}
	c.units = filepath.Join(c.top, "home", ".config", "systemd", "user")
	run := filepath.Join(c.top, "run")
	for _, d := range []string{filepath.Join(c.units, "default.target.wants"), run, filepath.Join(c.top, "home", "Downloads")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	web := httptest.NewServer(c.server)
	t.Cleanup(web.Close)
	u, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.server.link.Server = u
	l := r.server.link
	r.cfg.Link, r.cfg.Base, r.cfg.Display = &l, filepath.Join(run, "daypass"), "none"
	c.program = filepath.Join(c.top, "home", "Downloads", l.FileName(""))
	r.cfg.Program = c.program
	c.write(c.program)
	c.write(filepath.Join(c.top, "home", "Downloads", "holiday.jpg"))
	r.activate()
	r.do(consent.Action{Kind: consent.SetRight, Rights: grant.Clipboard, On: false})
	r.view.until(t, "the right", func(m consent.Model) bool { return !m.Allowed.Has(grant.Clipboard) })
	r.cancel()
	if err := r.wait(); err != nil {
		t.Fatal(err)
	}
	c.hostKey = r.server.hostKey
	j, err := removal.Open(folders(r.cfg.Base)[0])
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(c.units, "daypass-host-"+l.Session.String()+".service")
	if err := j.Add(removal.Item{Kind: removal.Unit, Path: unit, What: "the entry that starts the program after a restart", Last: true, User: true}); err != nil {
		t.Fatal(err)
	}
	c.write(unit)
	if err := os.Symlink(unit, filepath.Join(c.units, "default.target.wants", filepath.Base(unit))); err != nil {
		t.Fatal(err)
	}
	c.env = []string{"HOME=" + filepath.Join(c.top, "home"), "XDG_STATE_HOME=" + run, "TMPDIR=" + top, "PATH=/nonexistent", "LANG=C", "DISPLAY="}
	if err := os.CopyFS(c.image, os.DirFS(c.top)); err != nil {
		t.Fatal(err)
	}
	c.chmod(c.image)
	return c
}

func (c *installed) write(path string) {
	c.t.Helper()
	if err := os.WriteFile(path, []byte(path), 0o700); err != nil {
		c.t.Fatal(err)
	}
}

// chmod gives the copy the modes that the program insists on.
func (c *installed) chmod(top string) {
	c.t.Helper()
	err := filepath.WalkDir(top, func(p string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(p, 0o700)
		}
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// restore puts the computer back to before the end.
func (c *installed) restore() {
	c.t.Helper()
	if err := os.RemoveAll(c.top); err != nil {
		c.t.Fatal(err)
	}
	if err := os.CopyFS(c.top, os.DirFS(c.image)); err != nil {
		c.t.Fatal(err)
	}
	c.chmod(c.top)
	c.server.mu.Lock()
	c.server.ended, c.server.removed, c.server.down = nil, nil, false
	c.server.mu.Unlock()
}

// start runs the real program once, to be killed at a point, "" for none.
func (c *installed) start(killAt string) (out string, err error) {
	cmd := exec.CommandContext(c.t.Context(), c.exe, "uninstall")
	cmd.Env = c.env
	if killAt != "" {
		cmd.Env = append(cmd.Env, "DAYPASS_FAULT=host/*:"+killAt)
	}
	b, err := cmd.CombinedOutput()
	return string(b), err
}

// nothing reports what of ours is on the computer, the customer's receipt apart.
func (c *installed) ours() (left []string, receipts int) {
	c.t.Helper()
	err := filepath.WalkDir(c.top, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.ToLower(d.Name())
		switch {
		case strings.HasSuffix(name, ".tmp"):
			left = append(left, p)
		case strings.Contains(p, "receipt") && strings.HasSuffix(name, ".record.json"): // the customer's copy of the record
		case strings.Contains(p, "receipt") && strings.HasSuffix(name, ".json"):
			receipts++
		case strings.Contains(p, "receipt"):
		case strings.Contains(name, "daypass"), strings.HasPrefix(name, "support_"), strings.HasSuffix(name, ".lock"):
			left = append(left, p)
		}
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return left, receipts
}

func (c *installed) receipt() string {
	found, err := filepath.Glob(filepath.Join(c.top, "home", "Downloads", "*eceipt*.json"))
	found = slices.DeleteFunc(found, func(p string) bool { return strings.HasSuffix(p, ".record.json") })
	if err != nil || len(found) != 1 {
		c.t.Fatalf("%v %v", found, err)
	}
	return found[0]
}

// build makes the program with its points.
func build(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "daypass-host")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", "fault", "-o", exe, "daypass/hostsvc")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return exe
}

// The real program is killed (SIGKILL) at every boundary of the removal, one
// run a boundary, and started again: afterwards nothing is left, the server has
// one and the same signed removal however often it heard it, and there is one
// receipt that can be checked.
func TestKilledAtEveryStepOfTheRemoval(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the program many times")
	}
	c := install(t, build(t))
	out, err := c.start("0")
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	points := strings.Count(out, "point ")
	if points < 25 {
		t.Fatalf("%d points: %s", points, out)
	}
	if left, n := c.ours(); len(left) != 0 || n != 1 {
		t.Fatalf("left %v, %d receipts", left, n)
	}
	for at := 1; at <= points; at++ {
		c.restore()
		out, err := c.start(fmt.Sprint(at))
		if err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("point %d was not reached: %v %s", at, err, out)
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		name := lines[len(lines)-1]
		if out, err := c.start(""); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		left, receipts := c.ours()
		if len(left) != 0 || receipts != 1 {
			t.Errorf("%s: left %v, %d receipts", name, left, receipts)
			continue
		}
		c.server.mu.Lock()
		removed, ended := c.server.removed, c.server.ended
		c.server.mu.Unlock()
		if len(removed) == 0 || len(ended) == 0 {
			t.Errorf("%s: the server does not know: %d ends, %d removals", name, len(ended), len(removed))
			continue
		}
		for _, s := range removed {
			if string(s.Body) != string(removed[0].Body) {
				t.Errorf("%s: two different removals were signed", name)
			}
		}
		body, v := checkReceipt(t, c.receipt(), c.hostKey)
		if !v.Genuine || !body.Removal.Clean || string(body.Facts.Removed.Body) != string(removed[0].Body) {
			t.Errorf("%s: %+v %+v", name, v, body.Removal)
		}
		if _, err := os.Lstat(filepath.Join(c.top, "home", "Downloads", "holiday.jpg")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("killed at %d points", points)
}

func TestAPlantedLeftOverIsReportedByTheRealProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	c := install(t, build(t))
	planted := filepath.Join(c.units, "daypass-host-more.service")
	c.write(planted)
	out, err := c.start("")
	if err == nil || !strings.Contains(out, planted) {
		t.Errorf("%v: %s", err, out)
	}
	c.server.mu.Lock()
	var fact grant.Removed
	if len(c.server.removed) != 1 || grant.Open(c.hostKey, grant.ContextRemoved, c.server.removed[0], &fact) != nil || fact.Clean {
		t.Errorf("%+v", fact)
	}
	c.server.mu.Unlock()
	if err := os.Remove(planted); err != nil { // somebody helped
		t.Fatal(err)
	}
	if out, err := c.start(""); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if n := len(c.server.removed); n != 2 || grant.Open(c.hostKey, grant.ContextRemoved, c.server.removed[1], &fact) != nil || !fact.Clean {
		t.Errorf("%d %+v", n, fact)
	}
	if left, _ := c.ours(); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

// The server is away at the end and back the next day: until then the note and
// what brings the program back stay, and nothing else.
func TestTheRealProgramWaitsForTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the program")
	}
	c := install(t, build(t))
	c.server.mu.Lock()
	c.server.down = true
	c.server.mu.Unlock()
	out, err := c.start("")
	if err != nil || !strings.Contains(out, "goes with this message") {
		t.Errorf("%v: %s", err, out)
	}
	left, receipts := c.ours()
	if len(left) != 4 || receipts != 1 { // base, state folder, unit, its link
		t.Errorf("%v, %d receipts", left, receipts)
	}
	c.server.mu.Lock()
	c.server.down = false
	c.server.mu.Unlock()
	if out, err := c.start(""); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if left, receipts := c.ours(); len(left) != 0 || receipts != 1 || len(c.server.removed) != 1 {
		t.Errorf("%v, %d receipts, %d removals", left, receipts, len(c.server.removed))
	}
}
