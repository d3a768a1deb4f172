// Command bench measures Daypass from outside, against TigerVNC in the same
// run: two X displays, a network between two namespaces, the clock of the
// processor. It looks only at pixels, interfaces and control groups, never at
// Daypass's own figures, which it prints beside its own as a breakdown.
//
//	customer's desktop  Xvfb, 1920×1080   ← a window that answers a key or click by flipping a block
//	  host program      namespace H
//	     |  veth, bridge (namespace of the server: R)
//	  viewer program    namespace V
//	technician's display Xvfb, 2240×1320  ← XTEST input goes in here, pixels are read here
//
// Frame buffers are read through Xvfb -fbdir (a memory map), which costs the X
// servers nothing. Root is needed for namespaces and control groups.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	bin := flag.String("bin", "bin", "folder with daypass-lab, daypass-lab-host, daypass-signaling")
	trials := flag.Int("trials", 120, "input trials a peer and kind")
	rounds := flag.Int("rounds", 2, "rounds; the peers take turns in each")
	idle := flag.Duration("idle", 60*time.Second, "length of the idle measurement")
	what := flag.String("what", "latency,idle,start,size", "comma separated: latency idle start size")
	peers := flag.String("peers", "daypass,tigervnc", "comma separated")
	out := flag.String("out", "test/results/bench.json", "where the figures go as JSON")
	flag.Parse()
	if os.Geteuid() != 0 {
		fail("the benchmark needs root for network namespaces and control groups: sudo make bench")
	}
	abs, err := filepath.Abs(*bin)
	check(err)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() { <-stop; cleanup(); os.Exit(130) }()
	defer cleanup()

	report := map[string]any{"when": time.Now().Format(time.RFC3339)}
	has := func(w string) bool { return strings.Contains(","+*what+",", ","+w+",") }
	if has("size") {
		report["size"] = sizes(abs)
	}
	if has("latency") {
		report["latency"] = latency(abs, strings.Split(*peers, ","), *rounds, *trials)
	}
	if has("idle") {
		report["idle"] = idleCost(abs, *idle)
	}
	if has("start") {
		report["start"] = startTime(abs)
	}
	check(os.MkdirAll(filepath.Dir(*out), 0o755))
	b, err := json.MarshalIndent(report, "", "  ")
	check(err)
	check(os.WriteFile(*out, append(b, '\n'), 0o644))
	fmt.Printf("\nAll figures: %s\n", *out)
}

func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(msg string) {
	fmt.Fprintln(os.Stderr, "bench:", msg)
	cleanup()
	os.Exit(1)
}

func sizes(bin string) map[string]int64 {
	m := map[string]int64{}
	for _, n := range []string{"daypass-lab-host", "daypass-lab", "daypass-signaling"} {
		st, err := os.Stat(filepath.Join(bin, n))
		check(err)
		m[n] = st.Size()
		fmt.Printf("%-20s %6.1f MB\n", n, float64(st.Size())/(1<<20))
	}
	return m
}
