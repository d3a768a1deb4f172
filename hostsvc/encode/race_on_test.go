//go:build race

package encode_test

// operations is how many seeded operations the exactness tests do: fewer under
// the race detector, which makes each pixel ten times as dear.
const operations = 30
