//go:build !linux && !windows

package consent

import (
	"log/slog"
	"os"
	"path/filepath"

	"daypass/backend/fault"
)

// Open says that there is no window for this system yet. kind, lang and log
// mean what they mean elsewhere.
func Open(kind, lang string, log *slog.Logger) (View, error) {
	return nil, fault.New(fault.Unsupported, "consent.open",
		"This version of Daypass has no window for this system.",
		"Use it on a Linux computer, or ask for a version for this system.")
}

// barKeys is whether Ctrl, Alt and Home bring the keyboard to the bar.
const barKeys = false

func systemLanguages() []string { return []string{os.Getenv("LANG")} }

func userFolders() (out [4]string) {
	if home, err := os.UserHomeDir(); err == nil {
		for i, d := range [4]string{"Downloads", "Documents", "Desktop", "Pictures"} {
			out[i] = filepath.Join(home, d)
		}
	}
	return out
}
