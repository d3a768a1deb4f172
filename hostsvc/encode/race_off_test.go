//go:build !race

package encode_test

// operations is how many seeded operations the exactness tests do.
const operations = 200
