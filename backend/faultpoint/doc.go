// Package faultpoint marks the steps of the protocol at which a test kills a
// real program. In what is released its functions are empty; only a build with
// the tag fault acts on them, and such a build is never released (test/law). It
// must not know what the steps are for.
package faultpoint
