package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// idleCost keeps Remote Control open on a desktop where nothing happens.
func idleCost(bin string, d time.Duration) map[string]float64 {
	fmt.Printf("\nIdle desktop with the picture open, %v\n", d)
	s := newStage()
	check(startDaypass(s, bin))
	p, err := find(s)
	check(err)
	newHand(s.b).event(6, 0, p.x+clickX, p.y+clickY)
	time.Sleep(8 * time.Second) // what settles after the change is not idle
	cpu := map[string]float64{}
	for _, r := range []string{"host", "viewer", "relay"} {
		cpu[r] = s.cpu(r)
	}
	h0, v0 := s.sent("h"), s.sent("v")
	own0 := stats(s)
	t0 := time.Now()
	time.Sleep(d)
	sec := time.Since(t0).Seconds()
	out := map[string]float64{"seconds": sec}
	for r, c := range cpu {
		out[r+"_cpu_percent"] = 100 * (s.cpu(r) - c) / sec
	}
	out["host_sends_kbit_s"] = (s.sent("h") - h0) * 8 / 1000 / sec
	out["console_sends_kbit_s"] = (s.sent("v") - v0) * 8 / 1000 / sec
	out["everything_kbit_s"] = out["host_sends_kbit_s"] + out["console_sends_kbit_s"]
	own1 := stats(s)
	if a, ok := own0["pictureBytes"].(float64); ok {
		if b, ok := own1["pictureBytes"].(float64); ok {
			out["picture_kbit_s"] = (b - a) * 8 / 1000 / sec
		}
	}
	cleanup()
	for _, k := range []string{"host_cpu_percent", "viewer_cpu_percent", "relay_cpu_percent", "picture_kbit_s", "everything_kbit_s"} {
		fmt.Printf("%-22s %8.2f\n", k, out[k])
	}
	return out
}

// startTime is how long the console takes from its start to a page that has
// drawn, on a display of its own; the second start is the warm one.
func startTime(bin string) map[string]float64 {
	fmt.Println("\nConsole, from start to a drawn window")
	prog := filepath.Join(bin, "..", "build", "bin", "daypass")
	if _, err := os.Stat(prog); err != nil {
		fmt.Println("no release console (make build): not measured")
		return nil
	}
	s := newStage()
	out := map[string]float64{}
	for _, k := range []string{"cold_s", "warm_s", "warm2_s"} {
		empty := s.bs.sum()
		t0 := time.Now()
		cmd := s.start("viewer", "v", []string{"DISPLAY=" + s.b}, prog)
		var first time.Duration
		for time.Since(t0) < 30*time.Second {
			if colours(s.bs) > 12 && s.bs.sum() != empty {
				first = time.Since(t0)
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		out[k] = first.Seconds()
		fmt.Printf("%-8s %.2f s\n", k, first.Seconds())
		time.Sleep(time.Second)
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		s.endRole("viewer")
		time.Sleep(500 * time.Millisecond)
	}
	cleanup()
	return out
}

// colours counts different brightnesses on a screen: a window without its page
// has very few, text has many.
func colours(s *screen) int {
	var seen [256]bool
	n := 0
	for y := 0; y < s.h; y += 2 {
		for x := 0; x < s.w; x++ {
			if v := s.light(x, y); !seen[v] {
				seen[v] = true
				n++
			}
		}
	}
	return n
}
