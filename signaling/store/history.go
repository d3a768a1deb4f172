package store

import (
	"context"
	"time"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

// HistoryStore keeps the companies' sealed histories. Its contract is Store's.
type HistoryStore interface {
	// SetDevice stores a console's signed device key.
	SetDevice(ctx context.Context, console grant.ID, device grant.Signed) error
	// HistoryKeys returns a company's generations, wraps, and the consoles of its
	// leads with those that somebody's wrap is for.
	HistoryKeys(ctx context.Context, company grant.ID) (protocol.HistoryKeys, error)
	// AddHistoryKey stores generation gen; the audit gets an entry of that kind.
	// ErrConflict: it is not the next.
	AddHistoryKey(ctx context.Context, company grant.ID, gen int, doc grant.Signed, wraps []protocol.HistoryWrap, maker grant.Key, kind string, by Actor, now time.Time) error
	// AddHistoryWraps stores wraps; those that are there stay.
	AddHistoryWraps(ctx context.Context, company grant.ID, wraps []protocol.HistoryWrap, maker grant.Key, kind string, by Actor, now time.Time) error
	// AcceptHistoryKey stores a console's latest word about a key that does not
	// follow from the one before.
	AcceptHistoryKey(ctx context.Context, company grant.ID, console grant.Key, in protocol.HistoryAccept, by Actor, now time.Time) error
	// PutHistory stores items of one session. Those that are there stay, unless
	// the new ones are signed by the host and the old ones are not. ErrFull: there
	// are too many different entries in one place.
	PutHistory(ctx context.Context, company, session grant.ID, items []protocol.HistoryItem) error
	// History returns a company's items after a cursor, and how many there are.
	History(ctx context.Context, company grant.ID, after int64) (protocol.HistoryPage, error)
	// PruneHistory deletes what belongs to sessions of the company that ended
	// before ended, and returns how many sessions that were.
	PruneHistory(ctx context.Context, company grant.ID, ended time.Time, now time.Time) (int, error)
}
