//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"daypass/test/desk"
)

// TestRebootAndAway is the remote computer's own life: a power cut, a restart
// that the technician asks for and the customer refuses and then allows, a
// minute without network, another network. Nobody types a code again, and
// Remote Control comes back by itself.
func TestRebootAndAway(t *testing.T) {
	// An open defect, docs/untested.md: in two of six runs what was typed right after a return did not arrive.
	if os.Getenv("DAYPASS_AWAY") == "" {
		t.Skip("only with DAYPASS_AWAY=1: typing right after a return is sometimes lost (docs/untested.md)")
	}
	bin := newPrograms(t)
	lab := newNetwork(t, "console", "host", "server")
	address, acc := bin.serve(t, lab, "server")
	tech := &technician{t: t, desk: desk.New(t, desk.Options{Name: "technician", Width: 1280, Height: 800, Bus: true, Prefix: lab.in("console")})}
	tech.eyes = tech.desk.Eyes()
	cust := desk.New(t, desk.Options{Name: "customer", Width: 800, Height: 600, Bus: true, Prefix: lab.in("host")})
	c := &computer{t: t, cust: cust, seen: cust.Eyes(), notes: filepath.Join(cust.Home, "notes.txt"), asked: filepath.Join(cust.Temp(), "asked-to-restart")}
	for _, dir := range []string{filepath.Join(cust.Home, ".local", "state"), filepath.Join(cust.Home, "bin")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// The one thing that is not real: what restarts the computer.
	edge := "#!/bin/sh\necho \"$@\" >> " + c.asked + "\n"
	if err := os.WriteFile(filepath.Join(cust.Home, "bin", "systemctl"), []byte(edge), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.notes, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cust.Start("mousepad", "--disable-server", c.notes)
	cust.Until("the customer's editor", 30*time.Second, func() bool { return cust.Focus("notes.txt") })
	cust.Keys("ctrl+End")
	time.Sleep(time.Second)
	before := inventory(t, cust.Home)

	tech.start(bin.console)
	tech.signIn(address, acc)
	link := tech.invite()
	name, href := invitation(t, cust, link)
	c.program = filepath.Join(cust.Home, "Downloads", name)
	lab.download(t, "host", address, href, c.program)
	c.boot(c.program)
	c.seen.Wait("", "", "Mia Roth", 30*time.Second)
	code := tech.code()
	cust.Until("the customer's window", 20*time.Second, func() bool { return cust.Focus("Help with this computer") })
	cust.Type(code)
	cust.Keys("Return")
	tech.eyes.Wait(app, "", "Active until", 30*time.Second)
	tech.openRemote()
	cust.Until("the editor in front", 10*time.Second, func() bool { return cust.Focus("notes.txt") })
	tech.equalPictures(cust, "at the start")

	// The power is cut, and comes back.
	entry := c.entry()
	c.powerCut()
	tech.eyes.Wait(app, "", "The connection is interrupted", 40*time.Second)
	off := time.Now()
	c.boot(entry...)
	c.back(tech, "after the power cut")
	t.Logf("the picture is back %.1f s after the sign-in", time.Since(off).Seconds())

	// The technician asks for a restart; the customer does not want it.
	tech.reboot()
	c.seen.Wait("", "", "wants to restart this computer", 20*time.Second)
	cust.Save("restart")
	c.press("Do not restart")
	tech.eyes.Wait(app, "", "The customer did not let the computer restart", 20*time.Second)
	tech.desk.Save("restart-refused")
	if _, err := os.Stat(c.asked); err == nil {
		t.Fatal("the computer was restarted although the customer refused")
	}
	// And then does.
	tech.reboot()
	c.seen.Wait("", "", "wants to restart this computer", 20*time.Second)
	c.press("Restart now")
	cust.Until("the computer to be told to restart", 30*time.Second, func() bool {
		b, err := os.ReadFile(c.asked)
		return err == nil && strings.Contains(string(b), "reboot")
	})
	tech.eyes.Wait(app, "", "Restarting", 20*time.Second)
	tech.desk.Save("restarting")
	c.powerCut()
	c.boot(entry...)
	c.back(tech, "after the restart")

	// A minute without network.
	lab.cut("host")
	tech.eyes.Wait(app, "", "The connection is interrupted", 10*time.Second)
	time.Sleep(time.Minute)
	lab.mend("host")
	began := time.Now()
	c.back(tech, "after a minute without network")
	t.Logf("back %.1f s after the network", time.Since(began).Seconds())

	tech.leaveRemote()
	tech.press("push button", "End session now")
	tech.eyes.Wait(app, "", "End the session with", 20*time.Second)
	tech.confirm("End session now")
	c.seen.Wait("", "", "Everything was removed", 60*time.Second)
	cust.Until("the report's window", 10*time.Second, func() bool { return cust.Focus("Help with this computer") })
	cust.Keys("alt+F4")
	tech.eyes.Wait(app, "", "emoved", 30*time.Second)
	before[filepath.Join(cust.Temp(), "asked-to-restart")] = true
	nothingLeft(t, cust, before, name)
}

// computer is the customer's, which can lose its power.
type computer struct {
	t       *testing.T
	cust    *desk.Desk
	seen    *desk.Eyes
	program string
	notes   string
	asked   string // where it is written down that the system was asked to restart
	boots   int
	typed   string
}

// boot starts a program with the environment of a desktop that has just been
// signed in to, on a computer that has just been started.
func (c *computer) boot(argv ...string) {
	c.t.Helper()
	c.boots++
	id := filepath.Join(c.cust.Temp(), fmt.Sprintf("boot-%d", c.boots))
	if err := os.WriteFile(id, []byte(fmt.Sprintf("%08d-0000-4000-8000-000000000000\n", c.boots)), 0o600); err != nil {
		c.t.Fatal(err)
	}
	// The time since the start begins anew, too (time_namespaces(7)).
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		c.t.Fatal(err)
	}
	script := `mount --bind "$0" /proc/sys/kernel/random/boot_id && rm -f "$0" && exec "$@"`
	env := []string{"PATH=" + filepath.Join(c.cust.Home, "bin") + ":" + os.Getenv("PATH")}
	c.cust.StartWith(env, nil, nil, "unshare", append([]string{"-m", "-T", fmt.Sprintf("--boottime=-%d", up.Sec-5), "sh", "-c", script, id}, argv...)...)
}

// entry reads the command of the autostart entry, as a desktop does (Desktop
// Entry Specification, "The Exec key").
func (c *computer) entry() []string {
	c.t.Helper()
	found, err := filepath.Glob(filepath.Join(c.cust.Home, ".config", "autostart", "*.desktop"))
	if err != nil || len(found) != 1 {
		c.t.Fatalf("autostart entries: %v %v", found, err)
	}
	b, err := os.ReadFile(found[0])
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		exec, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "Exec=")
		if !ok {
			continue
		}
		var out []string
		for word := range strings.SplitSeq(strings.ReplaceAll(exec, `\\`, `\`), `" "`) {
			out = append(out, strings.ReplaceAll(strings.Trim(word, `"`), "%%", "%"))
		}
		if len(out) < 2 || !filepath.IsAbs(out[0]) {
			c.t.Fatalf("Exec: %q", exec)
		}
		return out
	}
	c.t.Fatalf("no Exec in %s", b)
	return nil
}

// powerCut ends every process of the program at once.
func (c *computer) powerCut() {
	c.t.Helper()
	killAll(c.t, c.cust, c.program)
}

// killAll kills what runs of a customer's program, its copies too.
func killAll(t *testing.T, cust *desk.Desk, program string) {
	t.Helper()
	cust.Until("every process of the program to be dead", 10*time.Second, func() bool {
		left := cust.Left("daypass-host", filepath.Base(program))
		for _, p := range left {
			pid, _, _ := strings.Cut(p, " ")
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			_ = syscall.Kill(n, syscall.SIGKILL) // it may be dead already
		}
		return len(left) == 0
	})
}

// press clicks a button of the program's window on the customer's computer.
func (c *computer) press(name string) {
	c.t.Helper()
	c.cust.Until("the customer's window", 20*time.Second, func() bool { return c.cust.Focus("Help with this computer") })
	c.seen.Press(c.seen.Steady("", "push button", name, 20*time.Second))
}

// back waits until Remote Control works again, and shows it.
func (c *computer) back(tech *technician, when string) {
	c.t.Helper()
	tech.desk.Until("the picture "+when, 90*time.Second, func() bool {
		_, interrupted := tech.eyes.Find(app, "", "The connection is interrupted")
		el, there := tech.eyes.Find(app, "", "Screen of")
		return there && el.W > 100 && !interrupted
	})
	c.cust.Until("the editor in front", 10*time.Second, func() bool { return c.cust.Focus("notes.txt") })
	r := tech.picture()
	tech.desk.Click(r.Min.X+r.Dx()/2, r.Min.Y+r.Dy()/2) // gives it the keyboard and the pointer again
	tech.equalPictures(c.cust, when)
	tech.typeRemote(when + "; ")
	tech.desk.Keys("ctrl+s")
	c.typed += when + "; "
	c.cust.Until("what was typed "+when, 20*time.Second, func() bool {
		b, err := os.ReadFile(c.notes)
		return err == nil && strings.Contains(string(b), c.typed)
	})
	tech.equalPictures(c.cust, when+", typed")
}

// reboot asks for a restart; Remote Control stays open.
func (w *technician) reboot() {
	w.t.Helper()
	w.leaveRemote()
	w.desk.Keys("w")
	w.press("push button", "Ask to restart")
	w.eyes.Wait(app, "", "The customer is asked about the restart", 20*time.Second)
}
