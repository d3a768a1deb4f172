package consent

import (
	"log/slog"

	"daypass/backend/fault"
)

// Open opens the window and the bar with the toolkit kind names.
func Open(kind, lang string, log *slog.Logger) (View, error) {
	return nil, fault.New(fault.Unsupported, "consent.open", "There is no window yet.", "")
}
