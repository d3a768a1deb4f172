package main

import (
	"log/slog"
	"os"

	"daypass/hostsvc/xserver"
)

// marks is what programs leave on the desktop and the file system does not show.
// Without a display there is nothing to look at.
func marks(log *slog.Logger) map[string][]string {
	if os.Getenv("DISPLAY") == "" {
		return nil
	}
	names, err := xserver.RootProperties("")
	if err != nil {
		log.Info("the desktop's properties were not read", "cause", err)
		return nil
	}
	return map[string][]string{"properties of the desktop's root window": names}
}
