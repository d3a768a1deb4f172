// Package version holds the version of the build. It must not know anything
// else; every program sets it at link time.
package version

// Version is what `git describe` said when the program was built, "dev" where
// it was built by hand.
var Version = "dev"
