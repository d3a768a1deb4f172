package removal

import (
	"fmt"
	"strings"

	"daypass/backend/grant"
)

// Place is one folder, or one list of the desktop, that we touched: what was
// there before we came, what we put there, and what is there now.
type Place struct {
	Name    string `json:"name"`    // the folder's path, or the name of a mark
	Before  int    `json:"before"`  // entries before we came
	Put     int    `json:"put"`     // things of ours that were listed there
	Gone    int    `json:"gone"`    // of those, the ones that are gone
	After   int    `json:"after"`   // entries now
	Others  int    `json:"others"`  // entries that others made, changed or removed meanwhile; not ours to name
	Unknown bool   `json:"unknown"` // could not be looked at, before or after
}

// Report is what a removal did: what was there before, and what still is.
type Report struct {
	Removed []string `json:"removed"`          // phrases of what is gone
	Left    []string `json:"left"`             // phrases of what is not, with its path
	Last    []string `json:"last,omitempty"`   // phrases of what goes when the server has been told
	Places  []Place  `json:"places,omitempty"` // before and after, folder by folder
	Resumed int      `json:"resumed"`          // how often the removal was interrupted and taken up again
	Clean   bool     `json:"clean"`            // nothing is left, but what is named in Last
}

// Lines returns the report for people, at most 60 lines.
func (r Report) Lines() []string {
	var out []string
	for _, s := range r.Left { // what matters first
		out = append(out, "left: "+s)
	}
	for _, s := range r.Removed {
		out = append(out, "removed: "+s)
	}
	for _, s := range r.Last {
		out = append(out, "goes with this message: "+s)
	}
	for _, p := range r.Places {
		if p.Unknown {
			out = append(out, "not comparable: "+p.Name)
			continue
		}
		s := fmt.Sprintf("compared: %s, %d entries before, %d of ours put there, %d of them gone, %d entries now", p.Name, p.Before, p.Put, p.Gone, p.After)
		if p.Others > 0 {
			s += fmt.Sprintf(", %d changed by others", p.Others)
		}
		out = append(out, s)
	}
	if r.Resumed > 0 {
		out = append(out, fmt.Sprintf("interrupted and taken up again: %d times", r.Resumed))
	}
	for i := range out {
		out[i] = strings.ToValidUTF8(out[i], "?")
	}
	if len(out) > maxLines {
		out = append(out[:maxLines-1], fmt.Sprintf("and %d more", len(out)-maxLines+1))
	}
	return out
}

// Hash is SHA-256 over the report's lines, each ended by a newline, as signed
// in grant.Removed.
func (r Report) Hash() [32]byte { return HashLines(r.Lines()) }

// HashLines is the hash of lines as Report.Hash makes it.
func HashLines(lines []string) [32]byte {
	return grant.HashReport(lines)
}
