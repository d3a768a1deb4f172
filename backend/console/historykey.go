package console

import "daypass/backend/desk"

// HistoryKey is the state of the company's history key at this console.
type HistoryKey = desk.HistoryKey

// Key returns who has the key to the company's history, and how far this
// console is with it.
func (h *History) Key() (HistoryKey, error) {
	k, err := h.desk.HistoryKey()
	return k, crossed(err)
}

// Sync brings the company's history up to date soon, instead of at the next
// minute.
func (h *History) Sync() { h.desk.SyncNow() }
