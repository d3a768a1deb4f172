package protocol

import (
	"time"

	"daypass/backend/grant"
)

// Bounds of the history at the server.
const (
	MaxHistoryBox   = 46 << 10  // bytes of one sealed item
	MaxHistoryBatch = 64        // items of one upload
	MaxHistoryPage  = 500       // items of one download; fewer where they are large
	HistoryPageSize = 512 << 10 // bytes of sealed items after which a download ends
	MaxHistorySeq   = 20_000    // of an entry
	MaxHistoryFork  = 4         // different entries in one place of a record
	MaxHistoryWraps = 64        // wraps of one request
	MaxHistoryKeys  = 768 << 10 // bytes of a company's generations and wraps; they travel in one answer

	MaxHistoryMonths = 240 // that a company may keep its history, unless for good
)

// HistoryItem is one entry of a session's record, or (Seq 0) the session's
// document. What it says is in Box, sealed to the company's history key
// (backend/historykey); the rest is what the server may know.
type HistoryItem struct {
	Session  grant.ID  `json:"session"`
	Seq      uint64    `json:"seq"`
	Hash     []byte    `json:"hash"` // of the entry, or of the document; 32 bytes
	At       time.Time `json:"at"`
	Actor    string    `json:"actor"`
	Kind     string    `json:"kind"`
	Gen      int       `json:"gen"`      // generation of the key
	Cosigned bool      `json:"cosigned"` // the host has signed the entry
	Box      []byte    `json:"box"`
	Rev      int64     `json:"rev,omitempty"` // server's: rises with each change; a download's cursor
}

// HistoryUpload is the body of POST Base/history/records: items of one session.
type HistoryUpload struct {
	Items []HistoryItem `json:"items"`
}

// HistoryPage answers GET Base/history/records?after=rev.
type HistoryPage struct {
	Items []HistoryItem `json:"items"`
	Total int64         `json:"total"` // items after the cursor, these included
	More  bool          `json:"more"`
}

// HistoryConsole is a console of the company, for passing the key on.
type HistoryConsole struct {
	Key    grant.Key     `json:"key"`
	Name   string        `json:"name"`   // of the computer
	Person string        `json:"person"` // who uses it
	Lead   bool          `json:"lead"`   // may have the key
	Device *grant.Signed `json:"device,omitempty"`
}

// HistoryKeys answers GET Base/history/keys.
type HistoryKeys struct {
	Company  grant.ID         `json:"company"`
	Docs     []grant.Signed   `json:"docs"`
	Wraps    []grant.Signed   `json:"wraps"`
	Consoles []HistoryConsole `json:"consoles"`
	Accepts  []grant.Signed   `json:"accepts"` // the latest historykey.Accept of each console that made one
	Months   int              `json:"months"`  // how long the company keeps its history after a session's end; 0: for good
}

// Why a generation was made or passed on, for the audit.
const (
	HistoryDuty     = ""         // a lead's console did what it does by itself
	HistoryRecovery = "recovery" // a recovery key was made, or was used
	HistoryRenewed  = "renewed"  // nobody had the key any more, and a lead began anew
)

// HistoryAccept is the body of POST Base/history/accept: a person goes on with a
// key that does not follow from the one before. The server takes Gen and
// Fingerprint as they are, for the audit.
type HistoryAccept struct {
	Accept      grant.Signed `json:"accept"`
	Gen         int          `json:"gen"`
	Fingerprint string       `json:"fingerprint"`
}

// HistoryGen is the body of POST Base/history/keys (Doc: a new generation) and
// of POST Base/history/wraps (no Doc).
type HistoryGen struct {
	Doc   *grant.Signed `json:"doc,omitempty"`
	Wraps []HistoryWrap `json:"wraps"`
	Why   string        `json:"why,omitempty"` // HistoryDuty, …
}

// HistoryWrap is a wrap and where it belongs, which the server cannot read out of
// it.
type HistoryWrap struct {
	Gen  int          `json:"gen"`
	To   grant.Key    `json:"to"` // a console's key, or a recovery key's
	Wrap grant.Signed `json:"wrap"`
}
