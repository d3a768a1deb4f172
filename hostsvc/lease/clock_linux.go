package lease

import (
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Now reads this computer's clocks: CLOCK_BOOTTIME counts sleep.
func Now() Reading {
	r := Reading{Wall: time.Now()}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err == nil {
		r.Mono = time.Duration(ts.Nano())
	}
	if b, err := os.ReadFile("/proc/sys/kernel/random/boot_id"); err == nil {
		r.Boot = strings.TrimSpace(string(b))
	}
	return r
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
