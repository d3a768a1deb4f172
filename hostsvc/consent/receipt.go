package consent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ReceiptPath is where a receipt goes when nobody chose: the customer's
// downloads, else documents, else desktop, else home; a name that does not exist yet. It ends
// in ".html"; the caller may put others beside it.
func ReceiptPath(lang string) string {
	w := catalogue(lang)
	home, err := os.UserHomeDir()
	if err != nil {
		home = os.TempDir()
	}
	dir := home
	for _, d := range []string{
		userDir("XDG_DOWNLOAD_DIR", home), filepath.Join(home, "Downloads"), userDir("XDG_DOCUMENTS_DIR", home), filepath.Join(home, "Documents"),
		userDir("XDG_DESKTOP_DIR", home), filepath.Join(home, "Desktop"),
	} {
		if s, err := os.Stat(d); d != "" && d != home && err == nil && s.IsDir() {
			dir = d
			break
		}
	}
	base := filepath.Join(dir, w.ReceiptName+" "+time.Now().Format("2006-01-02"))
	name := base + ".html"
	for i := 2; i < 1000; i++ {
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			break
		}
		name = fmt.Sprintf("%s %d.html", base, i)
	}
	return name
}

// userDir reads user-dirs.dirs (xdg-user-dirs), "" when it does not say.
func userDir(key, home string) string {
	conf, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(conf, "user-dirs.dirs"))
	if err != nil {
		return ""
	}
	for _, l := range strings.Split(string(b), "\n") {
		if k, v, ok := strings.Cut(strings.TrimSpace(l), "="); ok && k == key {
			return strings.Replace(strings.Trim(v, `"`), "$HOME", home, 1)
		}
	}
	return ""
}

// Folders are the customer's own folders that files can be limited to: those
// of downloads, documents, the desktop and pictures that exist.
func Folders() []string {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	var out []string
	for _, d := range [][2]string{{"XDG_DOWNLOAD_DIR", "Downloads"}, {"XDG_DOCUMENTS_DIR", "Documents"}, {"XDG_DESKTOP_DIR", "Desktop"}, {"XDG_PICTURES_DIR", "Pictures"}} {
		dir := userDir(d[0], home)
		if dir == "" {
			dir = filepath.Join(home, d[1])
		}
		if s, err := os.Lstat(dir); filepath.IsAbs(dir) && filepath.Clean(dir) != home && err == nil && s.IsDir() {
			out = append(out, filepath.Clean(dir))
		}
	}
	return out
}
