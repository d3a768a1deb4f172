//go:build linux || freebsd || openbsd || netbsd

package xserver

import (
	"fmt"
	"io"
	"log"

	"github.com/jezek/xgb"

	// The extensions that the host links: their tables are filled before ours are
	// made of them. kbinani/screenshot brings shm.
	_ "github.com/jezek/xgb/shm"
	_ "github.com/jezek/xgb/xinerama"
	_ "github.com/jezek/xgb/xtest"
)

// Extensions have their errors above the core protocol's (X11 protocol,
// section 9).
const firstExtensionError = 128

// init makes xgb's maps what they stay. Each extension's Init copies the
// constructors from its table of numbers; with the tables empty it copies
// nothing. In their place stands one constructor for every number an extension
// can be given: without any, xgb drops the error and the request that asked is
// never answered. Events of extensions are not used; xgb drops those.
func init() {
	// xgb writes remarks of its own to the customer's terminal; what matters
	// comes back as errors. The variable has no lock either.
	xgb.Logger = log.New(io.Discard, "", 0)
	for _, numbers := range xgb.NewExtEventFuncs {
		clear(numbers)
	}
	for _, numbers := range xgb.NewExtErrorFuncs {
		clear(numbers)
	}
	for n := firstExtensionError; n < 256; n++ {
		xgb.NewErrorFuncs[n] = newError
	}
}

// Error is an error of an X extension.
type Error struct {
	Code     byte   // error number as the server gave it
	Major    byte   // opcode of the request
	Minor    uint16 // and the extension's own
	Bad      uint32 // resource or value, where the error has one
	sequence uint16
}

func newError(b []byte) xgb.Error {
	return Error{Code: b[1], sequence: xgb.Get16(b[2:]), Bad: xgb.Get32(b[4:]), Minor: xgb.Get16(b[8:]), Major: b[10]}
}

// SequenceId is the number of the request; xgb asks for it.
func (e Error) SequenceId() uint16 { return e.sequence }

// BadId is the resource or value that was wrong, where the error has one.
func (e Error) BadId() uint32 { return e.Bad }

func (e Error) Error() string {
	return fmt.Sprintf("X error %d for request %d.%d (%#x)", e.Code, e.Major, e.Minor, e.Bad)
}
