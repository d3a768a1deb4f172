//go:build !faults

package removal

// Point is where a test may kill the process; in this build nothing happens.
func Point(string) {}
