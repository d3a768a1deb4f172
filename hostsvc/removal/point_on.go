//go:build faults

package removal

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

var points atomic.Int64

// Point counts the places where a removal may be interrupted, and kills this
// process at the one that DAYPASS_KILL_AT names by its number, from 1 on. With
// 0 it tells them all on standard error. Only builds with the tag faults have
// it.
func Point(name string) {
	n := points.Add(1)
	at, err := strconv.ParseInt(os.Getenv("DAYPASS_KILL_AT"), 10, 64)
	if err != nil {
		return
	}
	fmt.Fprintf(os.Stderr, "point %d: %s\n", n, name)
	if n != at {
		return
	}
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {}
}
