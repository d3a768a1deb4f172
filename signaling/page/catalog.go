package page

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// File is a host program that is offered.
type File struct {
	Name     string
	OS, Arch string
	Size     int64
	SHA256   string // hex
}

// Names of the files beside the programs.
const (
	manifestFile = "SHA256SUMS" // "<hex>  <name>" a line; a program that differs is not offered
	signerFile   = "SIGNER"     // who signed the Windows program, one line; absent: not signed
)

var fileName = regexp.MustCompile(`^daypass-host-(linux|windows|darwin)-(amd64|arm64)(\.exe)?$`)

// catalog knows the folder of programs; it looks again when files changed.
type catalog struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex // guards all following
	looked time.Time
	known  map[string]known
	files  []File
	sign   string
}

type known struct {
	size int64
	mod  time.Time
	sum  string
}

func (c *catalog) list() []File {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return c.files
}

func (c *catalog) signer() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return c.sign
}

// look reads the folder, every two seconds at most. mu is held.
func (c *catalog) look() {
	if c.dir == "" || time.Since(c.looked) < 2*time.Second {
		return
	}
	c.looked = time.Now()
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		c.log.Warn("the folder of host programs cannot be read", "error", err)
		c.files = nil
		return
	}
	want := manifest(filepath.Join(c.dir, manifestFile))
	now := map[string]known{}
	var files []File
	for _, e := range entries {
		m := fileName.FindStringSubmatch(e.Name())
		if m == nil || (m[1] == "windows") != (m[3] == ".exe") {
			continue
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
			continue
		}
		k, ok := c.known[e.Name()]
		if !ok || k.size != info.Size() || !k.mod.Equal(info.ModTime()) {
			sum, err := sumFile(filepath.Join(c.dir, e.Name()))
			if err != nil {
				c.log.Warn("a host program cannot be read", "file", e.Name(), "error", err)
				continue
			}
			k = known{info.Size(), info.ModTime(), sum}
			if want != nil && want[e.Name()] != sum {
				c.log.Error("a host program is not the one of the manifest and is not offered", "file", e.Name(), "sha256", sum)
			}
		}
		now[e.Name()] = k
		if want != nil && want[e.Name()] != k.sum {
			continue
		}
		files = append(files, File{Name: e.Name(), OS: m[1], Arch: m[2], Size: info.Size(), SHA256: k.sum})
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	c.known, c.files = now, files
	c.sign = ""
	if b, err := os.ReadFile(filepath.Join(c.dir, signerFile)); err == nil && len(b) < 200 {
		c.sign = strings.TrimSpace(string(b))
	}
}

// manifest returns what the manifest promises, nil where there is none.
func manifest(file string) map[string]string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	out := map[string]string{}
	for s := bufio.NewScanner(io.LimitReader(f, 64<<10)); s.Scan(); {
		if sum, name, ok := strings.Cut(s.Text(), " "); ok {
			out[strings.TrimLeft(name, " *")] = strings.ToLower(sum)
		}
	}
	return out
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// download serves a program. There is no Content-Disposition: its file name
// would win over the one that the page sets.
func (p *Page) download(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	i := slices.IndexFunc(p.cat.list(), func(f File) bool { return f.Name == name })
	if i < 0 {
		http.Error(w, "This program is not here.", http.StatusNotFound)
		return
	}
	sum := p.cat.list()[i].SHA256
	root, err := os.OpenRoot(p.cfg.Downloads)
	if err != nil {
		p.cfg.Log.Error("host programs", "error", err)
		http.Error(w, "The program cannot be read.", http.StatusInternalServerError)
		return
	}
	defer func() {
		if err := root.Close(); err != nil {
			p.cfg.Log.Debug("host programs", "error", err)
		}
	}()
	f, err := root.Open(name)
	if err != nil {
		p.cfg.Log.Error("host program", "file", name, "error", err)
		http.Error(w, "The program cannot be read.", http.StatusInternalServerError)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		http.Error(w, "The program cannot be read.", http.StatusInternalServerError)
		return
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(20 * time.Minute)); err != nil {
		p.cfg.Log.Debug("no write deadline", "error", err)
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+sum+`"`)
	http.ServeContent(w, r, "", info.ModTime(), f)
}
