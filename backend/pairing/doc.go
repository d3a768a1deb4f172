// Package pairing is how a console and a host come to trust each other and how
// they recognise each other afterwards: the deployment link and the file name
// that carry the mailed password, the spoken security code, the activation
// (CPace over both, pinning each other's keys) and the handshake of every
// connection (Noise KKpsk0, binding the DTLS certificates really used).
//
// It is pure: bytes in, bytes out. It must not know mailboxes, servers,
// sockets, timers or windows; its callers carry its messages and keep its
// results. Every message may be lost, repeated, delayed or reordered. The
// protocol with its byte layouts is docs/protocol-pairing.md. Like its
// subpackage cpace it awaits outside review, see docs/threat-model.md.
//
//	host H                                    console T
//	host hello {keys, sealed report} MAC_S ─▶ checks MAC, else drops; technician picks
//	                                       ◀─ console hello {keys, sealed offer} MAC_S
//	customer types the code
//	share Ya, MAC_S                        ─▶ one try is charged
//	                                       ◀─ share Yb, MAC_S
//	confirm, AEAD{report, rights, clock}   ─▶ wrong: status "2 left"; right: refunded
//	                                       ◀─ confirm, AEAD{rights, clock}
//	done                                   ─▶
package pairing
