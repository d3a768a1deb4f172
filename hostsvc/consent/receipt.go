package consent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	folders := userFolders()
	for _, d := range folders[:3] {
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

// Folders are the customer's own folders that files can be limited to: those
// of downloads, documents, the desktop and pictures that exist.
func Folders() []string {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	var out []string
	for _, dir := range userFolders() {
		if s, err := os.Lstat(dir); filepath.IsAbs(dir) && filepath.Clean(dir) != home && err == nil && s.IsDir() {
			out = append(out, filepath.Clean(dir))
		}
	}
	return out
}
