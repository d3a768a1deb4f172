package consent

import (
	"log/slog"

	"daypass/backend/fault"
)

// Open says that there is no window for this system yet. kind, lang and log
// mean what they mean elsewhere.
func Open(kind, lang string, log *slog.Logger) (View, error) {
	return nil, fault.New(fault.Unsupported, "consent.open",
		"This version of Daypass has no window for this system.",
		"Use it on a Linux computer, or ask for a version for this system.")
}
