package consent

import (
	"os"
	"path/filepath"
	"strings"
)

// barKeys is whether Ctrl, Alt and Home bring the keyboard to the bar.
const barKeys = false

// systemLanguages is what the environment names: LANGUAGE, LC_ALL, LC_MESSAGES,
// LANG in the order gettext looks.
func systemLanguages() []string {
	list := strings.Split(os.Getenv("LANGUAGE"), ":")
	for _, k := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(k); v != "" {
			return append(list, v) // the first that is set decides
		}
	}
	return list
}

// userFolders are the customer's downloads, documents, desktop and pictures,
// "" for one that is not known.
func userFolders() (out [4]string) {
	home, err := os.UserHomeDir()
	if err != nil {
		return out
	}
	for i, d := range [4][2]string{{"XDG_DOWNLOAD_DIR", "Downloads"}, {"XDG_DOCUMENTS_DIR", "Documents"}, {"XDG_DESKTOP_DIR", "Desktop"}, {"XDG_PICTURES_DIR", "Pictures"}} {
		if out[i] = userDir(d[0], home); out[i] == "" || out[i] == home {
			out[i] = filepath.Join(home, d[1])
		}
	}
	return out
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
