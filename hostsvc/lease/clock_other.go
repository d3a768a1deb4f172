//go:build !linux && !windows

package lease

import (
	"os"
	"time"
)

var started = time.Now()

// Now reads this process's clocks: where the system's are not known, a lease
// counts the process's own time and the wall clock.
func Now() Reading {
	return Reading{Wall: time.Now(), Mono: time.Since(started), Boot: started.UTC().Format(time.RFC3339Nano)}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
