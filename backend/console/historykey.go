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

// NewRecovery makes a recovery key and returns what is to be printed. It counts
// from KeepRecovery on.
func (h *History) NewRecovery() (string, error) {
	words, err := h.desk.NewRecovery()
	return words, crossed(err)
}

// KeepRecovery makes the recovery key that NewRecovery made the company's.
func (h *History) KeepRecovery() error { return crossed(h.desk.KeepRecovery()) }

// DropRecovery forgets what NewRecovery made.
func (h *History) DropRecovery() error { return crossed(h.desk.DropRecovery()) }

// UseRecovery gives this console the company's history key with a printed
// recovery key.
func (h *History) UseRecovery(words string) error {
	if err := bounded(200, words); err != nil {
		return crossed(err)
	}
	return crossed(h.desk.UseRecovery(words))
}

// RenewKey begins anew with a key where nobody has the old one any more.
func (h *History) RenewKey() error { return crossed(h.desk.RenewKey()) }

// AcceptKey goes on with the changed key whose fingerprint a person compared.
func (h *History) AcceptKey(fingerprint string) error {
	if err := bounded(40, fingerprint); err != nil {
		return crossed(err)
	}
	return crossed(h.desk.AcceptKey(fingerprint))
}
