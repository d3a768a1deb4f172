//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"daypass/test/netlab"
)

// network is three computers on one switch, each with a cable to pull.
type network struct {
	lab   *netlab.Lab
	addrs map[string]string
}

func newNetwork(t *testing.T, nodes ...string) *network {
	t.Helper()
	n := &network{lab: netlab.New(t), addrs: map[string]string{}}
	for i, node := range nodes {
		addr := netip.MustParsePrefix(fmt.Sprintf("10.83.0.%d/24", i+1))
		n.lab.Add(node, addr)
		n.addrs[node] = addr.Addr().String()
	}
	return n
}

func (n *network) ip(node string) string { return n.addrs[node] }

// in is the command that enters a node.
func (n *network) in(node string) []string {
	args := n.lab.Command(context.Background(), node, "true").Args
	return args[:len(args)-1]
}

func (n *network) cut(node string)  { n.lab.Cut(node) }
func (n *network) mend(node string) { n.lab.Mend(node) }

// download fetches a file as a browser on the node does and makes it
// executable, as the line on the page does.
func (n *network) download(t *testing.T, node, server, href, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(href, "http://"+server)
	err := n.lab.Do(node, func() error {
		c, err := net.DialTimeout("tcp", server, 10*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", path, server); err != nil {
			return err
		}
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", path, r.Status)
		}
		if d := r.Header.Get("Content-Disposition"); strings.Contains(d, "filename") {
			return fmt.Errorf("the answer names the file (%s): it would win over the page", d)
		}
		f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(f, r.Body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
