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
