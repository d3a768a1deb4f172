package rendezvous

import (
	"context"
	"net/http"
	"strconv"

	"daypass/backend/grant"
	"daypass/backend/rendezvous/protocol"
)

// The history at the server.
type (
	// HistoryItem is one sealed entry, or a session's sealed document.
	HistoryItem = protocol.HistoryItem
	// HistoryPage is a part of a download.
	HistoryPage = protocol.HistoryPage
	// HistoryKeys is what the server says of the company's history key.
	HistoryKeys = protocol.HistoryKeys
	// HistoryConsole is a console of the company.
	HistoryConsole = protocol.HistoryConsole
	// HistoryWrap hands the key to a console.
	HistoryWrap = protocol.HistoryWrap
)

// MaxHistoryMonths is the longest that a company may keep its history, unless for
// good.
const MaxHistoryMonths = protocol.MaxHistoryMonths

// Why a generation was made or passed on.
const (
	HistoryDuty     = protocol.HistoryDuty
	HistoryRecovery = protocol.HistoryRecovery
	HistoryRenewed  = protocol.HistoryRenewed
)

// HistoryKeys asks for the company's history key, for whom it is wrapped, and
// for the consoles of the company's leads. Nothing of the answer is to be
// believed before historykey.Parse.
func (c *Client) HistoryKeys(ctx context.Context) (HistoryKeys, error) {
	var k HistoryKeys
	err := c.out(ctx, "history.keys", http.MethodGet, "/history/keys", nil, &k)
	return k, err
}

// RegisterDevice tells the server this console's signed historykey.Device.
func (c *Client) RegisterDevice(ctx context.Context, device grant.Signed) error {
	return c.out(ctx, "history.device", http.MethodPost, "/history/device", protocol.Fact{Fact: device}, nil)
}

// AddHistoryKey brings a new generation, number gen, with its wraps. Conflict:
// somebody was faster; ask for the keys again.
func (c *Client) AddHistoryKey(ctx context.Context, gen int, doc grant.Signed, wraps []HistoryWrap, why string) error {
	return c.out(ctx, "history.key", http.MethodPost, "/history/keys?gen="+strconv.Itoa(gen), protocol.HistoryGen{Doc: &doc, Wraps: wraps, Why: why}, nil)
}

// AddHistoryWraps passes generations on. Why is for the audit.
func (c *Client) AddHistoryWraps(ctx context.Context, wraps []HistoryWrap, why string) error {
	return c.out(ctx, "history.wraps", http.MethodPost, "/history/wraps", protocol.HistoryGen{Wraps: wraps, Why: why}, nil)
}

// AcceptHistoryKey tells the company's other consoles, and the audit, that this
// one goes on with a key that does not follow from the one before.
func (c *Client) AcceptHistoryKey(ctx context.Context, accept grant.Signed, gen int, fingerprint string) error {
	return c.out(ctx, "history.accept", http.MethodPost, "/history/accept", protocol.HistoryAccept{Accept: accept, Gen: gen, Fingerprint: fingerprint}, nil)
}

// UploadHistory brings items of one of this person's sessions. What the server
// has already is passed over.
func (c *Client) UploadHistory(ctx context.Context, items []HistoryItem) error {
	return c.out(ctx, "history.upload", http.MethodPost, "/history/records", protocol.HistoryUpload{Items: items}, nil)
}

// DownloadHistory returns items of the company after the cursor, in its order.
// For leads.
func (c *Client) DownloadHistory(ctx context.Context, after int64) (HistoryPage, error) {
	var p HistoryPage
	err := c.out(ctx, "history.download", http.MethodGet, "/history/records?after="+strconv.FormatInt(after, 10), nil, &p)
	return p, err
}
