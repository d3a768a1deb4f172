// Package netlab builds a small network out of Linux network namespaces for
// tests: nodes with an address each on one switch, whose cables can be cut,
// mended, slowed and given another address. It needs root, ip(8) and, for slow
// cables, tc(8); on other systems it is empty. It must not know what runs on
// the nodes.
package netlab
