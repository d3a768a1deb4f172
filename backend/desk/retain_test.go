package desk

import (
	"encoding/json"
	"testing"
	"time"
)

// Longer counts at once; shorter only after it was said for a week without a
// break, also over restarts of the console.
func TestAShorterRuleWaitsAWeek(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	day := 24 * time.Hour
	var r retention
	for i, x := range []struct {
		after        time.Duration
		said, counts int
	}{
		{0, 0, 0},
		{0, 12, 0}, // somebody sets a rule
		{6 * day, 12, 0},
		{day, 12, 12},
		{0, 24, 24}, // longer
		{0, 1, 24},  // a server that lies, or a slip
		{6 * day, 1, 24},
		{day / 2, 24, 24}, // noticed
		{day, 1, 24},      // from the beginning
		{6 * day, 1, 24},
		{time.Minute, 2, 24}, // another rule: from the beginning
		{6 * day, 2, 24},
		{-30 * day, 2, 24}, // the clock went back: from the beginning
		{6 * day, 2, 24},
		{day, 2, 2},
		{0, 0, 0},
	} {
		at = at.Add(x.after)
		r = r.heard(x.said, at)
		if r.Months != x.counts {
			t.Fatalf("step %d: %+v, wanted %d", i, r, x.counts)
		}
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back retention
		if err := json.Unmarshal(b, &back); err != nil || back != r {
			t.Fatalf("step %d: %+v became %+v %v", i, r, back, err)
		}
		r = back
	}
}
