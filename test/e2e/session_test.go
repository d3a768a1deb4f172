//go:build e2e

// Package e2e is the one true end-to-end: the release console in its real
// window, a server process, the customer's program on a desktop of its own,
// three network namespaces between them, and nothing read that a person could
// not see: the link comes from the clipboard, the code through the
// accessibility tree, the picture from the two screens.
package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"daypass/test/desk"
)

func TestWholeSession(t *testing.T) {
	bin := newPrograms(t)
	lab := newNetwork(t, "console", "host", "server")
	address, acc := bin.serve(t, lab, "server")

	// Two desks.
	tech := &technician{t: t, desk: desk.New(t, desk.Options{Name: "technician", Width: 1280, Height: 800, Bus: true, Prefix: lab.in("console")})}
	tech.eyes = tech.desk.Eyes()
	cust := desk.New(t, desk.Options{Name: "customer", Width: 800, Height: 600, Bus: true, Prefix: lab.in("host")})
	seen := cust.Eyes()
	notes := filepath.Join(cust.Home, "notes.txt")
	if err := os.WriteFile(notes, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cust.Start("mousepad", "--disable-server", notes)
	cust.Until("the customer's editor", 30*time.Second, func() bool { return cust.Focus("notes.txt") })
	cust.Keys("ctrl+End")
	time.Sleep(time.Second)
	before := inventory(t, cust.Home)

	// First start: a server, sign in.
	tech.start(bin.console)
	tech.signIn(address, acc)

	// A session, as a technician makes it.
	link := tech.invite()

	// The customer opens the link, downloads the program and runs it.
	name, href := invitation(t, cust, link)
	cust.Save("page")
	program := filepath.Join(cust.Home, "Downloads", name)
	lab.download(t, "host", address, href, program)
	customer := cust.Start(program)
	seen.Wait("", "", "Mia Roth", 30*time.Second)
	cust.Save("code")

	// The code appears on one side, is said, and typed on the other.
	code := tech.code()
	cust.Until("the customer's window", 20*time.Second, func() bool { return cust.Focus("Help with this computer") })
	cust.Type(code)
	cust.Keys("Return")
	tech.eyes.Wait(app, "", "Active until", 30*time.Second)
	tech.desk.Save("active")

	// Remote Control: the picture is the customer's screen, pixel for pixel.
	tech.openRemote()
	tech.desk.Save("remote")
	cust.Until("the editor in front", 10*time.Second, func() bool { return cust.Focus("notes.txt") })
	first := tech.equalPictures(cust, "at the start")
	tech.typeRemote("The quick brown fox; ")
	second := tech.equalPictures(cust, "after typing")
	if string(first.Pix) == string(second.Pix) {
		t.Error("typing changed nothing in the picture")
	}

	// The cable is cut for five seconds.
	lab.cut("console")
	cut := time.Now()
	tech.eyes.Wait(app, "", "The connection is interrupted", 5*time.Second)
	tech.desk.Save("interrupted")
	time.Sleep(time.Until(cut.Add(5 * time.Second)))
	lab.mend("console")
	mended := time.Now()
	tech.desk.Until("the picture to come back", 30*time.Second, func() bool {
		_, ok := tech.eyes.Find(app, "", "The connection is interrupted")
		return !ok
	})
	t.Logf("the picture is back %.1f s after the cable", time.Since(mended).Seconds())
	tech.typeRemote("jumps over ")
	tech.equalPictures(cust, "after the cut")

	// The console dies and is started again.
	tech.prog.Kill()
	tech.start(bin.console)
	tech.press("", "Remote Control")
	tech.picture()
	tech.typeRemote("the lazy dog.")
	tech.equalPictures(cust, "after the restart")
	tech.desk.Keys("ctrl+s")
	want := "The quick brown fox; jumps over the lazy dog."
	cust.Until("the text on the customer's disk", 20*time.Second, func() bool {
		b, err := os.ReadFile(notes)
		return err == nil && strings.Contains(string(b), want)
	})

	// The end: nothing of the program is left.
	tech.leaveRemote()
	tech.press("push button", "End session now")
	tech.eyes.Wait(app, "", "End the session with", 20*time.Second)
	tech.desk.Save("end")
	tech.confirm("End session now")
	seen.Wait("", "", "Everything was removed", 60*time.Second)
	cust.Save("report")
	cust.Until("the report's window", 10*time.Second, func() bool { return cust.Focus("Help with this computer") })
	cust.Keys("alt+F4") // the report stays until the customer closes it
	cust.Until("the program to end", 20*time.Second, func() bool { return !customer.Running() })
	tech.eyes.Wait(app, "", "emoved", 30*time.Second)
	tech.desk.Save("ended")
	nothingLeft(t, cust, before, name)
}

// nothingLeft checks that the program is gone, that the customer has the
// receipt, and that the check itself bites.
func nothingLeft(t *testing.T, cust *desk.Desk, before map[string]bool, program string) {
	t.Helper()
	end := time.Now().Add(10 * time.Second) // the supervising process looks once a second whether there is something to do
	left := leftovers(t, cust, before, program)
	for len(left) != 0 && time.Now().Before(end) {
		time.Sleep(100 * time.Millisecond)
		left = leftovers(t, cust, before, program)
	}
	if len(left) != 0 {
		t.Errorf("left on the customer's computer: %v", left)
	}
	for _, kind := range []string{".html", ".json", ".record.json"} {
		if found, err := filepath.Glob(filepath.Join(cust.Home, "Downloads", "Support receipt *"+kind)); err != nil || len(found) == 0 {
			t.Errorf("the customer has no receipt %s", kind)
		}
	}
	for _, at := range []string{
		".local/state/daypass/daypass-host-_1-X/planted", ".daypass/start-planted/planted", ".config/autostart/daypass-host-planted.desktop",
		".config/systemd/user/daypass-host-planted.service", ".config/systemd/user/default.target.wants/daypass-host-planted.service",
		"Downloads/Support_planted", "Downloads/planted receipt.html", "planted",
	} {
		file := filepath.Join(cust.Home, at)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if left := leftovers(t, cust, before, program); !slices.Contains(left, file) {
			t.Errorf("a planted left-over was not found: %s in %v", at, left)
		}
	}
}

// invitation opens the link in a browser on the customer's desk and reads what
// the page offers: the name of the file and where it comes from.
func invitation(t *testing.T, cust *desk.Desk, link string) (name, href string) {
	t.Helper()
	dom := cust.Output("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--virtual-time-budget=4000", "--user-data-dir="+t.TempDir(), "--dump-dom", link)
	if !strings.Contains(dom, "Contoso IT") || !strings.Contains(dom, "Mia Roth") {
		t.Fatalf("the page does not say who invites: %.2000s", dom)
	}
	for _, a := range regexp.MustCompile(`<a\b[^>]*>`).FindAllString(dom, -1) {
		n := regexp.MustCompile(`download="(Support_[^"]+)"`).FindStringSubmatch(a)
		h := regexp.MustCompile(`href="([^"]+linux-` + runtime.GOARCH + `[^"]*)"`).FindStringSubmatch(a)
		if n != nil && h != nil {
			return n[1], h[1]
		}
	}
	t.Fatalf("the page offers no download for this system: %.3000s", dom)
	return "", ""
}

// inventory lists the files under a HOME.
func inventory(t *testing.T, home string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(home, func(p string, _ fs.DirEntry, err error) error {
		if err == nil {
			out[p] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// leftovers compares the customer's computer with what it was: processes of the
// program, and files that carry its name or were not there before. Files of
// other programs (the editor, the desktop, the browser) do not count.
func leftovers(t *testing.T, cust *desk.Desk, before map[string]bool, program string) []string {
	t.Helper()
	var out []string
	for _, p := range cust.Left(program, "daypass-host") {
		out = append(out, "process "+p)
	}
	others := regexp.MustCompile(`/(Mousepad|mousepad|dconf|gtk-3\.0|openbox|chromium|pulse|\.cache|\.pki|at-spi|keyrings|gvfs[^/]*|recently-used[^/]*)(/|$)`)
	mine := regexp.MustCompile(`(?i)daypass|^Support_`)
	receipt := regexp.MustCompile(`^Support receipt \d{4}-\d{2}-\d{2}( \(\d+\))?(\.record)?\.(html|json)$`) // the customer's to keep
	for _, dir := range []string{cust.Home, filepath.Join(filepath.Dir(cust.Home), "run"), cust.Temp()} {
		for p := range inventory(t, dir) {
			name := filepath.Base(p)
			switch {
			case before[p], dir == cust.Home && name == "Downloads":
			case filepath.Dir(p) == filepath.Join(cust.Home, "Downloads") && receipt.MatchString(name):
			case mine.MatchString(name):
				out = append(out, p)
			case dir == cust.Home && !others.MatchString(p):
				if st, err := os.Stat(p); err == nil && !st.IsDir() {
					out = append(out, p)
				}
			}
		}
	}
	for _, place := range []string{"/etc/systemd/system/daypass-host-*", "/var/lib/daypass-host-*"} { // root's service
		found, err := filepath.Glob(place)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	slices.Sort(out)
	return out
}
