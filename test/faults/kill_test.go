package faults

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"daypass/hostsvc/screen/screentest"
)

// steps are what a whole life passes, and how often, by program.
func steps(t *testing.T, l *life) map[string]map[string]int {
	t.Helper()
	out := map[string]map[string]int{}
	for who, c := range map[string]*child{"server": l.server, "console": l.console, "host": l.host} {
		out[who] = map[string]int{}
		for line := range strings.Lines(c.said()) {
			if rest, ok := strings.CutPrefix(line, "point "); ok {
				_, name, _ := strings.Cut(strings.TrimSpace(rest), ": ")
				out[who][name]++
			}
		}
	}
	return out
}

// plans chooses n kills: by turns server, console and host, no step twice before
// each had its turn.
func plans(rng *rand.Rand, all map[string]map[string]int, n int) []plan {
	whos := []string{"server", "console", "host"}
	left := map[string][]string{}
	var out []plan
	for i := range n {
		who := whos[i%len(whos)]
		if len(left[who]) == 0 {
			left[who] = slices.Sorted(maps.Keys(all[who]))
			rng.Shuffle(len(left[who]), func(a, b int) { left[who][a], left[who][b] = left[who][b], left[who][a] })
		}
		name := left[who][0]
		left[who] = left[who][1:]
		out = append(out, plan{
			who, fmt.Sprintf("%s:%d", name, 1+rng.IntN(min(all[who][name], 2))),
			[]string{"technician", "customer"}[rng.IntN(2)], []string{"person", "unit"}[rng.IntN(2)],
		})
	}
	return out
}

// Server, console and customer's program are real processes; one of them is
// killed (SIGKILL) at a step of the protocol and started again, as a person or
// the system would. The session is activated once, goes on, ends, and is
// removed; what anybody was told stays true. DAYPASS_FAULTS_KILLS is how many
// lives, DAYPASS_FAULTS_PLAN repeats one of them, DAYPASS_FAULTS_WITHIN fails
// one that took longer than so many seconds after the return.
func TestKilledAtAnyStep(t *testing.T) {
	screentest.Need(t, "Xvfb")
	display := screentest.Xvfb(t, "320x240")
	if v := os.Getenv("DAYPASS_FAULTS_PLAN"); v != "" {
		f := strings.Split(v, ",")
		if len(f) != 4 {
			t.Fatalf("DAYPASS_FAULTS_PLAN=%q", v)
		}
		l := newLife(t, display, plan{f[0], f[1], f[2], f[3]})
		l.run()
		t.Logf("%s: %d kills, in stage %d, %v after the return, %q", l.plan, l.hits, l.stage, l.took, l.trouble)
		return
	}
	s := seed(t)
	// A life without a kill tells which steps there are.
	whole := newLife(t, display, plan{"all", "*:0", "technician", "person"})
	whole.run()
	all := steps(t, whole)
	for who, least := range map[string]int{"server": 20, "console": 40, "host": 60} {
		if len(all[who]) < least {
			t.Fatalf("%s: only %d steps: %v", who, len(all[who]), all[who])
		}
	}
	var mu sync.Mutex
	var done []*life
	t.Run("lives", func(t *testing.T) {
		for i, p := range plans(rand.New(rand.NewPCG(s, 60)), all, number(t, "DAYPASS_FAULTS_KILLS", 9)) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				t.Logf("again: DAYPASS_FAULTS_PLAN='%s' go test -count=1 -v -run %s ./test/faults", p, "TestKilledAtAnyStep")
				l := newLife(t, display, p)
				l.run()
				mu.Lock()
				defer mu.Unlock()
				done = append(done, l)
			})
		}
	})
	slices.SortFunc(done, func(a, b *life) int { return cmp.Compare(b.took, a.took) })
	within := time.Duration(1<<62 - 1)
	if v := os.Getenv("DAYPASS_FAULTS_WITHIN"); v != "" {
		n, err := strconv.ParseFloat(v, 64)
		if err != nil {
			t.Fatal(err)
		}
		within = time.Duration(n * float64(time.Second))
	}
	kills := 0
	for _, l := range done {
		kills += l.hits
		t.Logf("%5.2f s  stage %d  %s  %q", l.took.Seconds(), l.stage, l.plan, l.trouble)
		if l.took > within {
			t.Errorf("%s: %v after the return", l.plan, l.took)
		}
	}
	t.Logf("%d lives, %d kills; steps: %d of the server, %d of the console, %d of the host", len(done), kills, len(all["server"]), len(all["console"]), len(all["host"]))
}
