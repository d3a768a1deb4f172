package directory

import (
	"strconv"
	"testing"
	"time"
)

// TestAFloodOfNamesLeavesNobodyUncounted: with the table full, a new account is
// still held to its tries, and the table does not grow.
func TestAFloodOfNamesLeavesNobodyUncounted(t *testing.T) {
	l := newLimits()
	now := time.Unix(1_700_000_000, 0)
	for i := range maxBuckets {
		now = now.Add(time.Microsecond)
		l.get("a flood"+strconv.Itoa(i), now, 5)
	}
	let := 0
	for range 50 {
		now = now.Add(time.Microsecond)
		if l.take("victim@example.org", "192.0.2.1", now) == 0 {
			let++
		}
	}
	if let != 5 {
		t.Errorf("%d tries were let through, want 5", let)
	}
	if len(l.buckets) > maxBuckets {
		t.Errorf("%d buckets", len(l.buckets))
	}
}
