package faults

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"daypass/backend/desk"
	"daypass/backend/grant"
	"daypass/backend/journal"
	"daypass/signaling/server"
	"daypass/signaling/store"
	"daypass/signaling/store/sqlite"
	"daypass/test/smtpd"
)

// patience bounds waits that would otherwise hang; it says nothing of speed.
const patience = 2 * time.Minute

// child is a started program.
type child struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	took time.Time     // when it was started
	gone chan struct{} // closed when it has ended and all that it wrote was read

	mu  sync.Mutex // guards log
	log bytes.Buffer
}

// Write takes what the program says on standard error.
func (c *child) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(b)
}

func (c *child) said() string { c.mu.Lock(); defer c.mu.Unlock(); return c.log.String() }

func (c *child) over() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}

// killed reports whether a program that has ended was killed at its step.
func (c *child) killed() bool {
	ws, ok := c.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL
}

// launch starts a program; line, which may be nil, gets what it writes.
func launch(t *testing.T, cmd *exec.Cmd, line func([]byte)) *child {
	t.Helper()
	c := &child{cmd: cmd, took: time.Now(), gone: make(chan struct{})}
	cmd.Stderr = c
	var err error
	if c.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.gone)
		s := bufio.NewScanner(out)
		s.Buffer(nil, 16<<20)
		for s.Scan() {
			if line != nil {
				line(s.Bytes())
			}
		}
		_ = cmd.Wait() // what came of it is in ProcessState
	}()
	return c
}

// stop kills what still runs.
func (c *child) stop() {
	if c == nil || c.over() {
		return
	}
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.gone
}

// A plan is one life of a session: who is killed where, who ends it, and who
// starts the customer's program again.
type plan struct {
	victim string // server, console, host; "" nobody
	point  string // "NAME:N" as backend/faultpoint reads it
	end    string // technician, customer
	back   string // person, unit
}

func (p plan) String() string {
	return fmt.Sprintf("%s,%s,%s,%s", p.victim, p.point, p.end, p.back)
}

// said is a line of the console; see its command.
type said struct {
	Snapshot *desk.Snapshot   `json:"snapshot"`
	Done     string           `json:"done"`
	Failed   string           `json:"failed"`
	Session  *desk.Session    `json:"session"`
	Entries  []journal.Entry  `json:"entries"`
	Verdict  *journal.Verdict `json:"verdict"`
	Notes    int              `json:"notes"`
	State    string           `json:"state"`
}

// shown is a line of the customer's program.
type shown struct {
	State   string `json:"state"`
	Problem string `json:"problem"`
	Offline bool   `json:"offline"`
	Clean   *bool  `json:"clean"`
	Fault   *struct {
		Message string `json:"message"`
	} `json:"fault"`
}

// life is one session of real programs, with the two people and whoever starts
// a program again.
type life struct {
	*process // the server's data and address
	plan     plan
	account  server.Account
	smtp     *smtpd.Server
	profile  string
	home     string
	display  string
	server   *child
	console  *child
	host     *child

	mu     sync.Mutex // guards what the programs said last
	snap   *desk.Snapshot
	answer *said
	window shown

	asking   string    // command that the console has not answered
	asked    time.Time // when the last command was given
	hits     int       // kills that happened
	back     time.Time // when the killed program was there again
	stage    int       // of the kill
	id, link string    // acknowledged
	mailed   bool      // acknowledged
	mails    int       // asked for
	typed    string
	typedAt  time.Time
	ended    *child // the program that was told to end
	endAsked bool
	starts   int // of the customer's program
	now      int // stage: 1 to the activation, 2 while it goes on, 3 to the removal
	trouble  []string
	between  func()        // what happens while the session goes on
	missing  time.Time     // since when the console does not show the session
	took     time.Duration // from the return to where people wanted to be
}

// newLife prepares a life; nothing runs yet.
func newLife(t *testing.T, display string, p plan) *life {
	t.Helper()
	l := &life{process: newProcess(t), plan: p, display: display, now: 1}
	top := t.TempDir()
	l.profile, l.home = filepath.Join(top, "console"), filepath.Join(top, "home")
	for _, d := range []string{l.profile, filepath.Join(l.home, "Downloads")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if l.account, err = server.CreateLocal(t.Context(), l.data, "lena@example.com", "Lena Kaiser", "Contoso IT"); err != nil {
		t.Fatal(err)
	}
	if l.smtp, err = smtpd.Start(smtpd.Config{Security: smtpd.Plain}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.host.stop()
		l.console.stop()
		l.server.stop()
		l.smtp.Close()
		if t.Failed() {
			t.Logf("plan: %s", p)
			for name, c := range map[string]*child{"server": l.server, "console": l.console, "host": l.host} {
				if c != nil {
					s := c.said()
					t.Logf("%s: …%s", name, s[max(0, len(s)-3000):])
				}
			}
		}
	})
	return l
}

// env arms a program, the first time it is started.
func (l *life) env(who string, first bool, more ...string) []string {
	out := append(os.Environ(), more...)
	if first && (l.plan.victim == who || l.plan.victim == "all") {
		out = append(out, "DAYPASS_FAULT="+l.plan.point)
	}
	return out
}

func (l *life) startServer() {
	first := l.server == nil
	cmd := exec.Command(program(l.t, "signaling"), "serve", "--data", l.data, "--listen", l.listen, "--no-turn")
	cmd.Env = l.env("server", first)
	l.server = launch(l.t, cmd, nil)
}

func (l *life) startConsole() {
	first := l.console == nil
	l.mu.Lock()
	l.snap, l.answer = nil, nil
	l.mu.Unlock()
	l.asking = ""
	cmd := exec.Command(program(l.t, "console"), "-dir", l.profile, "-server", l.url.String(), "-email", l.account.Email, "-password", l.account.Password, "-smtp", fmt.Sprint(l.smtp.Port))
	cmd.Env = l.env("console", first)
	l.console = launch(l.t, cmd, func(b []byte) {
		s := &said{}
		if err := json.Unmarshal(b, s); err != nil {
			s = &said{Done: "?", Failed: err.Error()}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if s.Snapshot != nil {
			l.snap = s.Snapshot
		} else {
			l.answer = s
		}
	})
}

// states are the folders of the customer's program with a session.
func (l *life) states() []string {
	out, err := filepath.Glob(filepath.Join(l.home, ".daypass", "daypass-host-*-*"))
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

func (l *life) startHost() {
	first := l.host == nil
	l.mu.Lock()
	l.window = shown{}
	l.mu.Unlock()
	l.typed = ""
	l.starts++
	args, display, link := []string{"run", "--headless", "--verbose"}, l.display, l.link
	if st := l.states(); !first && l.plan.back == "unit" && len(st) == 1 {
		// As the unit does, with nobody signed in at the desktop.
		name := strings.TrimPrefix(filepath.Base(st[0]), "daypass-host-")
		args, display, link = []string{"agent", "--verbose", "--state", st[0], "--display", name[:strings.LastIndexByte(name, '-')]}, "", ""
	}
	cmd := exec.Command(program(l.t, "host"), args...)
	cmd.Env = l.env("host", first, "HOME="+l.home, "XDG_STATE_HOME=", "XDG_RUNTIME_DIR=", "XDG_DOWNLOAD_DIR=", "TMPDIR="+filepath.Dir(l.home), "DISPLAY="+display, "LANG=C")
	l.host = launch(l.t, cmd, func(b []byte) {
		var s shown
		if json.Unmarshal(b, &s) == nil && s.State != "" {
			l.mu.Lock()
			l.window = s
			l.mu.Unlock()
		}
	})
	if link != "" {
		l.tell(l.host, link)
	}
}

// tell types a line; a program that just died does not hear it.
func (l *life) tell(c *child, s string) {
	if _, err := io.WriteString(c.in, s+"\n"); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, os.ErrClosed) {
		l.t.Fatal(err)
	}
}

func (l *life) ask(do, id string, mine bool) {
	b, err := json.Marshal(map[string]any{"do": do, "id": id, "mine": mine})
	if err != nil {
		l.t.Fatal(err)
	}
	l.asking, l.asked = do, time.Now()
	l.tell(l.console, string(b))
}

// answered returns the answer to the last command, nil while there is none.
func (l *life) answered() *said {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.answer
	l.answer = nil
	if a != nil {
		l.asking = ""
	}
	return a
}

func (l *life) look() (*desk.Snapshot, shown) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.snap, l.window
}

// revive starts again what was killed.
func (l *life) revive() {
	hit := func(c *child, who string) {
		if !c.killed() {
			l.t.Fatalf("the %s ended: %v", who, c.cmd.ProcessState)
		}
		l.hits++
		l.stage = l.now
	}
	if l.server.over() {
		hit(l.server, "server")
		l.startServer()
		l.back = time.Now()
	}
	if l.console.over() {
		hit(l.console, "console")
		l.startConsole()
		l.back = time.Now()
	}
	if l.host != nil && l.host.over() && l.host.killed() {
		hit(l.host, "host")
		l.startHost()
		l.back = time.Now()
	}
}

// of finds the session in a snapshot.
func (l *life) of(s *desk.Snapshot) *desk.Session {
	for i := range s.Sessions {
		if s.Sessions[i].ID == l.id {
			return &s.Sessions[i]
		}
	}
	return nil
}

// lost fails: something that was acknowledged is not there.
func (l *life) lost(format string, args ...any) {
	l.t.Helper()
	l.t.Fatalf("acknowledged and lost: "+format, args...)
}

func live(state string) bool {
	return state == "invited" || state == "answered" || state == "pairing" || state == "active" || state == "ending"
}

// technician does what the person at the console does.
func (l *life) technician() {
	s, _ := l.look()
	if a := l.answered(); a != nil && a.Failed != "" {
		l.trouble = append(l.trouble, a.Done+": "+a.Failed)
	} else if a != nil && a.Session != nil && l.id == "" {
		l.id, l.link = a.Session.ID, a.Session.Link
	}
	if l.asking != "" || s == nil || s.Phase != desk.PhaseReady || !s.Server.Online || time.Since(l.asked) < 100*time.Millisecond {
		return
	}
	if l.id == "" {
		for _, x := range s.Sessions {
			switch {
			case !live(x.State):
			case x.Mine:
				l.id, l.link = x.ID, x.Link
				return
			default: // the place is held by a session that this console does not have
				if !x.Verbs.End {
					l.t.Fatalf("a session that cannot be ended: %+v", x)
				}
				l.ask("end", x.ID, false)
				return
			}
		}
		l.ask("create", "", false)
		return
	}
	x := l.of(s)
	if x == nil && l.now == 3 {
		return // over, and the console was started since: it is in the history, where run looks
	}
	if x == nil && l.missing.IsZero() {
		l.missing = time.Now()
	}
	if x == nil && time.Since(l.missing) < 5*time.Second {
		return // the answer comes before the snapshot
	}
	if x == nil || !x.Mine {
		l.lost("the session")
	}
	l.missing = time.Time{}
	switch x.State {
	case "invited", "answered", "pairing":
		if l.link != x.Link {
			l.lost("the link is %q, it was %q", x.Link, l.link)
		}
		switch x.Mail.State {
		case "sent":
			l.mailed = true
		case "sending":
		default:
			if l.mailed {
				l.lost("that the mail was sent: %+v", x.Mail)
			}
			if x.Mail.State == "failed" && x.Mail.Fault.Message == "" {
				l.t.Fatal("a mail failed without words")
			}
			l.mails++
			l.ask("mail", l.id, true)
			return
		}
		if x.Verbs.NewCode && (x.Code == nil || x.Code.State == "expired") {
			l.ask("code", l.id, true)
		}
	case "active":
		// What the unit starts without a desktop has no customer before it.
		if l.now == 3 && (l.plan.end == "technician" || l.plan.back == "unit" && l.starts > 1) && !l.endAsked {
			l.endAsked = true
			l.ask("end", l.id, true)
		}
	case "ending":
		l.endAsked = true
	default:
		if l.now == 1 {
			l.t.Fatalf("the session is over: %+v", x)
		}
	}
}

// customer does what the person at the other computer does.
func (l *life) customer() {
	s, w := l.look()
	if l.host == nil || l.host.over() {
		if l.host != nil {
			if w.State == "refused" && (w.Fault == nil || w.Fault.Message == "") {
				l.t.Fatal("a refusal without words")
			}
			if l.now == 3 && len(l.states()) == 0 {
				return
			}
			if w.Fault != nil && (len(l.trouble) == 0 || l.trouble[len(l.trouble)-1] != w.Fault.Message) {
				l.trouble = append(l.trouble, w.Fault.Message)
			}
			if time.Since(l.host.took) < 500*time.Millisecond {
				return
			}
			if l.starts > 20 {
				l.t.Fatalf("the customer's program does not come up: %+v", w)
			}
		}
		if l.mailed {
			l.startHost()
		}
		return
	}
	switch {
	case w.State == "code" && w.Problem != "new" && s != nil:
		x := l.of(s)
		if x == nil || x.Code == nil || x.Code.State != "shown" || x.Code.Digits == "" || x.Code.Digits == l.typed && time.Since(l.typedAt) < 3*time.Second {
			return
		}
		l.typed, l.typedAt = x.Code.Digits, time.Now()
		l.tell(l.host, x.Code.Digits)
	case l.now == 3 && l.plan.end == "customer" && l.ended != l.host && (w.State == "active" || w.State == "watching"):
		l.ended = l.host
		l.tell(l.host, "end")
	}
}

// until lets everybody do what they do until ok.
func (l *life) until(what string, ok func(s *desk.Snapshot, w shown) bool) {
	l.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		l.revive()
		l.technician()
		l.customer()
		if s, w := l.look(); s != nil && ok(s, w) {
			return
		}
		if time.Now().After(end) {
			s, w := l.look()
			l.t.Fatalf("waited in vain for %s\nconsole: %+v\ncustomer: %+v\ntrouble: %q", what, s, w, l.trouble)
		}
	}
}

// reached notes how long it took since the killed program came back.
func (l *life) reached() {
	if l.hits > 0 && l.stage == l.now && l.took == 0 {
		l.took = time.Since(l.back)
	}
}

// command gives the console a command, again if it died of it.
func (l *life) command(do string) *said {
	l.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		l.revive()
		l.customer()
		switch a := l.answered(); {
		case a != nil && a.Done == do && a.Failed == "":
			return a
		case a != nil && a.Failed != "":
			l.trouble = append(l.trouble, do+": "+a.Failed)
		case l.asking == "" && time.Since(l.asked) > 50*time.Millisecond:
			l.ask(do, l.id, true)
		}
	}
	l.t.Fatalf("no answer to %s: %q", do, l.trouble)
	return nil
}

func together(l *life) func(*desk.Snapshot, shown) bool {
	return func(s *desk.Snapshot, w shown) bool {
		x := l.of(s)
		return x != nil && x.State == "active" && x.LinkState == "open" && (w.State == "active" || w.State == "watching" || w.State == "" && l.starts > 1 && l.plan.back == "unit") && !w.Offline
	}
}

// run lives the life and checks what is left of it.
func (l *life) run() {
	l.startServer()
	l.startConsole()
	l.until("the activation", together(l))
	l.reached()
	s, _ := l.look()
	rights := strings.Join(l.of(s).Rights, " ")
	if rights == "" {
		l.t.Fatal("nothing is allowed")
	}
	l.now = 2
	l.command("note")
	l.until("both at the end", func(s *desk.Snapshot, w shown) bool { return together(l)(s, w) })
	s, _ = l.look()
	if r := strings.Join(l.of(s).Rights, " "); r != rights {
		l.lost("the rights are %q, they were %q", r, rights)
	}
	l.reached()
	if l.between != nil {
		l.between()
		l.until("both after it", together(l))
	}
	// Both have the same record, signed by both, before it ends.
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		v := l.command("past").Verdict
		if v.Kind == journal.Complete && v.Waiting == 0 {
			break
		}
		if time.Now().After(end) {
			l.t.Fatalf("the record is not signed by both: %+v", v)
		}
	}
	l.now = 3
	var past *said
	for end := time.Now().Add(patience); ; {
		l.untilGone()
		past = l.command("past")
		if past.State == "removed" && past.Verdict.Closed {
			break
		}
		if time.Now().After(end) {
			l.t.Fatalf("the console does not know of the removal: %s, %+v, %q", past.State, past.Verdict, l.trouble)
		}
		time.Sleep(50 * time.Millisecond)
	}
	l.reached()
	l.check(past)
}

// untilGone waits until the customer's program has ended for good.
func (l *life) untilGone() {
	l.until("the end of the customer's program", func(*desk.Snapshot, shown) bool {
		return l.host.over() && !l.host.killed() && len(l.states()) == 0
	})
}

// check looks at everything that must have stayed, or gone.
func (l *life) check(past *said) {
	l.t.Helper()
	if past.Notes != 1 {
		l.lost("%d notes", past.Notes)
	}
	if past.Verdict.Kind != journal.Complete {
		l.t.Errorf("the record: %+v", past.Verdict)
	}
	if n := len(l.smtp.Mails()); n == 0 || n > l.mails {
		l.t.Errorf("%d mails arrived, %d were asked for", n, l.mails)
	}
	l.server.stop()
	l.verify()
	st, err := sqlite.Open(l.t.Context(), filepath.Join(l.data, "daypass.db"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer st.Close()
	kinds := map[string]int{}
	if err := st.Audit(l.t.Context(), func(e store.Entry) error {
		if e.Session.String() == l.id {
			kinds[e.Kind]++
		}
		if e.Kind == "session.active" {
			kinds["all active"]++
		}
		return nil
	}); err != nil {
		l.t.Fatal(err)
	}
	if kinds["session.active"] != 1 || kinds["all active"] != 1 || kinds["session.reactivated"] != 0 {
		l.t.Errorf("not one activation: %v", kinds)
	}
	if kinds["session.removed"] != 1 {
		l.t.Errorf("not one removal: %v", kinds)
	}
	l.same(past.Entries)
	// Nothing of the program is left but what the customer keeps.
	err = filepath.WalkDir(l.home, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), "Support receipt ") || err == nil && (strings.HasSuffix(p, ".tmp") || strings.Contains(p, "daypass")) {
			l.t.Errorf("left: %s", p)
		}
		return err
	})
	if err != nil {
		l.t.Error(err)
	}
}

// same checks that the customer's copy of the record is what the console has.
func (l *life) same(ours []journal.Entry) {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.home, "Downloads", "*.record.json"))
	if err != nil || len(found) != 1 {
		l.t.Errorf("%d copies of the record: %v", len(found), err)
		return
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		l.t.Fatal(err)
	}
	var theirs struct {
		Record     []journal.Entry `json:"record"`
		Said       []grant.Signed  `json:"said"`
		HostKey    grant.Key       `json:"host_key"`
		ConsoleKey grant.Key       `json:"console_key"`
	}
	if err := grant.Strict(b, &theirs); err != nil {
		l.t.Fatal(err)
	}
	if len(theirs.Record) == 0 || len(theirs.Record) > len(ours) {
		l.t.Errorf("the customer has %d entries, the console %d", len(theirs.Record), len(ours))
		return
	}
	for i, e := range theirs.Record {
		if e.Hash != ours[i].Hash {
			l.t.Errorf("entry %d differs: %s and %s", e.Seq, e.Kind, ours[i].Kind)
			return
		}
	}
	if v := journal.Verify(theirs.Record, journal.Keys{Console: theirs.ConsoleKey, Host: theirs.HostKey}, journal.Head{}); v.Kind != journal.Complete {
		l.t.Errorf("the customer's copy by itself: %+v", v)
	}
}
