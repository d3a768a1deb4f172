package lease

import (
	"time"

	"golang.org/x/sys/windows"
)

// Now reads this computer's clocks. GetTickCount64 counts sleep. Windows names
// no boot; a monotonic clock that went back tells of one.
func Now() Reading {
	return Reading{Wall: time.Now(), Mono: windows.DurationSinceBoot(), Boot: "windows"}
}

// syncDir does nothing: Windows cannot flush a folder, NTFS journals renames.
func syncDir(string) error { return nil }
