// Command patch mends two files of Debian's Wine 10, so that Go programs use
// the network in it as on Windows. It is only run on the tests' own copy of
// Wine (build/wine/setup.sh). It must not know Daypass.
//
//	patch iphlpapi|ws2_32 FILE
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "patch:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: patch iphlpapi|ws2_32 FILE")
	}
	do, ok := map[string]func([]byte) error{"iphlpapi": iphlpapi, "ws2_32": ws232}[args[0]]
	if !ok {
		return fmt.Errorf("no patch for %q", args[0])
	}
	st, err := os.Stat(args[1])
	if err != nil {
		return err
	}
	b, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	if err := do(b); err != nil {
		return fmt.Errorf("%s: %w (another build of Wine than the one this was made for?)", args[1], err)
	}
	return os.WriteFile(args[1], b, st.Mode().Perm())
}

// jump is the target of the four-byte relative jump whose displacement is at i.
func jump(b []byte, i int) int { return i + 4 + int(int32(binary.LittleEndian.Uint32(b[i:]))) }

// iphlpapi: Debian's build lets GetAdaptersAddresses with prefixes fail as soon
// as a route has the prefix length zero (its patch of uninitialised
// variables), which /proc/net/ipv6_route always has; Go's net.Interfaces then
// fails. The branch (test r14d,r14d; je) to the error (mov ebx,13) goes.
func iphlpapi(b []byte) error {
	test, fails := []byte{0x45, 0x85, 0xf6, 0x0f, 0x84}, []byte{0xbb, 0x0d, 0, 0, 0}
	found := -1
	for at := 0; ; {
		i := bytes.Index(b[at:], test)
		if i < 0 {
			break
		}
		i += at
		at = i + 1
		if i+9 > len(b) {
			break
		}
		to := jump(b, i+5)
		if to < 0 || to+40 > len(b) || !bytes.Contains(b[to:to+32], fails) {
			continue
		}
		if found >= 0 {
			return errors.New("the place is not the only one")
		}
		found = i
	}
	if found < 0 {
		return errors.New("the place was not found")
	}
	copy(b[found+3:], bytes.Repeat([]byte{0x90}, 6)) // nop
	return nil
}

// ws2_32: Wine 10 does not know SIO_UDP_NETRESET (0x9800000f), which Go sets on
// every UDP socket. Its comparison is put in the place of the one for
// SIO_ROUTING_INTERFACE_QUERY, which is not used, and goes where
// SIO_UDP_CONNRESET (0x9800000c) goes: to success.
func ws232(b []byte) error {
	one := func(pat ...byte) (int, error) {
		i := bytes.Index(b, pat)
		if i < 0 || bytes.Contains(b[i+1:], pat) {
			return 0, fmt.Errorf("% x is there %d times", pat, bytes.Count(b, pat))
		}
		return i, nil
	}
	reset, err := one(0x81, 0xfb, 0x0c, 0, 0, 0x98, 0x0f, 0x84) // cmp ebx,…; je
	if err != nil {
		return err
	}
	query, err := one(0x81, 0xfb, 0x14, 0, 0, 0xc8, 0x0f, 0x85) // cmp ebx,…; jne
	if err != nil {
		return err
	}
	if query-reset > 0x400 || reset-query > 0x400 {
		return errors.New("the comparisons are not of one switch")
	}
	success, unknown := jump(b, reset+8), jump(b, query+8)
	code := []byte{0x81, 0xfb, 0x0f, 0, 0, 0x98, 0x0f, 0x84}                                       // cmp ebx,SIO_UDP_NETRESET; je
	code = binary.LittleEndian.AppendUint32(code, uint32(int32(success-(query+12))))               // success
	code = binary.LittleEndian.AppendUint32(append(code, 0xe9), uint32(int32(unknown-(query+17)))) // jmp unknown
	copy(b[query:], code)
	return nil
}
