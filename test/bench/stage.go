package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	viewW, viewH = 2240, 1320
	hostIP       = "10.97.0.1"
	viewIP       = "10.97.0.2"
	relayIP      = "10.97.0.3"
)

// stage is the laboratory: displays, namespaces, control groups, processes.
type stage struct {
	dir     string
	id      string
	a, b    string // displays: customer's, technician's
	as, bs  *screen
	content *content
	groups  map[string]string // role → control group folder
	cmds    []*exec.Cmd
	v2      bool
}

var current *stage // what cleanup ends

func ns(role string) string { return "dpb" + strconv.Itoa(os.Getpid()) + role }

func cleanup() {
	if current != nil {
		current.close()
		current = nil
	}
}

func run(name string, args ...string) error {
	out, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

func newStage() *stage {
	dir, err := os.MkdirTemp("/dev/shm", "daypass-bench-")
	check(err)
	s := &stage{dir: dir, id: filepath.Base(dir), groups: map[string]string{}}
	current = s
	s.cgroups()
	s.network()
	s.a = s.xvfb("a", deskW, deskH)
	s.b = s.xvfb("b", viewW, viewH)
	s.as, err = openScreen(filepath.Join(dir, "a", "Xvfb_screen0"))
	check(err)
	s.bs, err = openScreen(filepath.Join(dir, "b", "Xvfb_screen0"))
	check(err)
	rc := filepath.Join(dir, "openbox.xml")
	check(os.WriteFile(rc, []byte(`<?xml version="1.0"?><openbox_config xmlns="http://openbox.org/3.4/rc"><focus><focusNew>yes</focusNew></focus><applications><application class="*"><decor>no</decor><focus>yes</focus></application></applications></openbox_config>`), 0o600))
	s.start("xb", "", []string{"DISPLAY=" + s.b, "HOME=" + dir}, "openbox", "--config-file", rc, "--sm-disable")
	s.content, err = newContent(s.a)
	check(err)
	return s
}

// cgroups makes one control group a role; version 2 where it is mounted, else
// the cpuacct hierarchy of version 1.
func (s *stage) cgroups() {
	base := ""
	for _, c := range []string{"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		if st, err := os.Stat(c); err == nil && st.IsDir() {
			base = c
			break
		}
	}
	s.v2 = base != "/sys/fs/cgroup/cpuacct"
	for _, r := range []string{"host", "viewer", "relay", "xa", "xb"} {
		g := filepath.Join(base, s.id, r)
		check(os.MkdirAll(g, 0o755))
		s.groups[r] = g
	}
}

// cpu is what a role used so far, in seconds of one core.
func (s *stage) cpu(role string) float64 {
	if s.v2 {
		b, err := os.ReadFile(filepath.Join(s.groups[role], "cpu.stat"))
		check(err)
		for _, l := range strings.Split(string(b), "\n") {
			if v, ok := strings.CutPrefix(l, "usage_usec "); ok {
				n, err := strconv.ParseFloat(v, 64)
				check(err)
				return n / 1e6
			}
		}
		fail("control group without usage_usec")
	}
	b, err := os.ReadFile(filepath.Join(s.groups[role], "cpuacct.usage"))
	check(err)
	n, err := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
	check(err)
	return n / 1e9
}

// moment is what the machine and the bench did so far, in seconds of one core.
type moment struct {
	at          time.Time
	busy, known float64
}

// now reads the clocks. What is known is the roles and this program.
func (s *stage) now() moment {
	m := moment{at: time.Now()}
	b, err := os.ReadFile("/proc/stat")
	check(err)
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line)[1:] {
		// user nice system idle iowait irq softirq steal; guests are in user.
		if n, err := strconv.ParseFloat(f, 64); err == nil && i < 8 && i != 3 && i != 4 {
			m.busy += n / 100 // USER_HZ
		}
	}
	for r := range s.groups {
		m.known += s.cpu(r)
	}
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	m.known += time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
	return m
}

// foreign is how much others used since before, in percent of one core.
func (m moment) foreign(before moment) float64 {
	return max(0, 100*((m.busy-before.busy)-(m.known-before.known))/m.at.Sub(before.at).Seconds())
}

func (s *stage) network() {
	for _, r := range []string{"h", "v", "r"} {
		check(run("ip", "netns", "add", ns(r)))
		check(run("ip", "-n", ns(r), "link", "set", "lo", "up"))
	}
	check(run("ip", "-n", ns("r"), "link", "add", "br0", "type", "bridge", "forward_delay", "0"))
	check(run("ip", "-n", ns("r"), "addr", "add", relayIP+"/24", "dev", "br0"))
	check(run("ip", "-n", ns("r"), "link", "set", "br0", "up"))
	for r, ip := range map[string]string{"h": hostIP, "v": viewIP} {
		check(run("ip", "-n", ns("r"), "link", "add", "port"+r, "type", "veth", "peer", "name", "eth0", "netns", ns(r)))
		check(run("ip", "-n", ns("r"), "link", "set", "port"+r, "master", "br0", "up"))
		check(run("ip", "-n", ns(r), "addr", "add", ip+"/24", "dev", "eth0"))
		check(run("ip", "-n", ns(r), "link", "set", "eth0", "up"))
		check(run("ip", "-n", ns(r), "route", "add", "default", "via", relayIP))
	}
}

// sent is what left a namespace so far, in bytes.
func (s *stage) sent(role string) float64 {
	out, err := exec.CommandContext(context.Background(), "ip", "netns", "exec", ns(role), "cat", "/sys/class/net/eth0/statistics/tx_bytes").Output()
	check(err)
	n, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	check(err)
	return n
}

func (s *stage) xvfb(name string, w, h int) string {
	d := filepath.Join(s.dir, name)
	check(os.MkdirAll(d, 0o700))
	r, wr, err := os.Pipe()
	check(err)
	cmd := exec.CommandContext(context.Background(), "Xvfb", "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", w, h), "-fbdir", d, "-nolisten", "tcp", "-ac", "-noreset", "-dpi", "96")
	cmd.ExtraFiles = []*os.File{wr}
	s.launch(cmd, "x"+name)
	wr.Close()
	line, err := bufio.NewReader(r).ReadString('\n')
	check(err)
	r.Close()
	return ":" + strings.TrimSpace(line)
}

// start runs a program in a role's control group and, where space is not "",
// in a namespace, with a HOME of its own.
func (s *stage) start(role, space string, env []string, name string, args ...string) *exec.Cmd {
	full := append([]string{name}, args...)
	if space != "" {
		full = append([]string{"ip", "netns", "exec", ns(space)}, full...)
	}
	cmd := exec.CommandContext(context.Background(), full[0], full[1:]...)
	home := filepath.Join(s.dir, "home-"+role)
	for _, d := range []string{home, home + "/run"} {
		check(os.MkdirAll(d, 0o700))
	}
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + home + "/run", "LANG=C.UTF-8"}, env...)
	s.launch(cmd, role)
	return cmd
}

func (s *stage) launch(cmd *exec.Cmd, role string) {
	f, err := os.OpenFile(filepath.Join(s.dir, role+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	check(err)
	cmd.Stderr = f
	if cmd.Stdout == nil {
		cmd.Stdout = f
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// The group is joined before the program runs, so that its children are counted from the first instruction.
	cmd.Args = append([]string{"sh", "-c", `echo $$ > "$0"; exec "$@"`, filepath.Join(s.groups[role], "cgroup.procs")}, cmd.Args...)
	cmd.Path = "/bin/sh"
	check(cmd.Start())
	f.Close()
	s.cmds = append(s.cmds, cmd)
	go func() { _ = cmd.Wait() }()
}

func (s *stage) log(role string) string {
	b, err := os.ReadFile(filepath.Join(s.dir, role+".log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-3000):])
}

// endRole ends everything in a role's control group.
func (s *stage) endRole(role string) {
	for i := range 60 {
		b, err := os.ReadFile(filepath.Join(s.groups[role], "cgroup.procs"))
		if err != nil || len(b) == 0 {
			return
		}
		sig := syscall.SIGTERM
		if i > 30 {
			sig = syscall.SIGKILL
		}
		for _, p := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(p); err == nil {
				_ = syscall.Kill(pid, sig)
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (s *stage) close() {
	if s.content != nil {
		s.content.close()
	}
	for _, r := range []string{"viewer", "host", "relay", "xb", "xa"} {
		s.endRole(r)
		_ = os.Remove(s.groups[r])
	}
	_ = os.Remove(filepath.Dir(s.groups["host"]))
	for _, r := range []string{"h", "v", "r"} {
		_ = run("ip", "netns", "del", ns(r))
	}
	if s.as != nil {
		s.as.close()
	}
	if s.bs != nil {
		s.bs.close()
	}
	_ = os.RemoveAll(s.dir)
}

// until waits for ok; what says what is missing when it does not come.
func until(ctx context.Context, limit time.Duration, what string, ok func() bool) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return fmt.Errorf("waited %v for %s", limit, what)
}
