package wire

import (
	"errors"
	"fmt"

	"daypass/backend/grant"
)

// MaxScope bounds the path of a folder that a right is for, in bytes.
const MaxScope = 1024

// Lease says how one right that is on is limited.
type Lease struct {
	Right  grant.Rights `json:"right"`             // exactly one
	LeftMS int64        `json:"left_ms,omitempty"` // milliseconds left; 0: to the end of the session
	Scope  string       `json:"scope,omitempty"`   // of Files: the only folder; "": all of the customer's own
}

// AskRight asks the customer to allow rights that are off. The answer is
// RightsNow, or Refused.
type AskRight struct {
	Rights grant.Rights `json:"rights"`
}

func (*AskRight) kind() Kind { return KindAskRight }

func (m *AskRight) check() error {
	if m.Rights == 0 {
		return errors.New("asks for nothing")
	}
	return rights(m.Rights)
}

func leases(on grant.Rights, list []Lease) error {
	var seen grant.Rights
	for _, l := range list {
		if err := rights(l.Right); err != nil {
			return err
		}
		if l.Right == 0 || l.Right&(l.Right-1) != 0 || seen.Has(l.Right) || !on.Has(l.Right) {
			return fmt.Errorf("lease of %#x", uint32(l.Right))
		}
		seen |= l.Right
		if l.LeftMS < 0 || l.LeftMS > grant.Limit.Milliseconds() {
			return fmt.Errorf("lease of %d ms", l.LeftMS)
		}
		if l.Scope != "" && l.Right != grant.Files {
			return errors.New("folder of what is no file")
		}
		if err := text("folder", l.Scope, MaxScope); err != nil {
			return err
		}
	}
	return nil
}
