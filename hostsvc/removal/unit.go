package removal

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// managerTimeout bounds one call of systemctl.
const managerTimeout = 10 * time.Second

// links are the places from which systemd starts a unit: X.target.wants/UNIT.
func (it Item) links() []string {
	found, err := filepath.Glob(filepath.Join(filepath.Dir(it.Path), "*.*", filepath.Base(it.Path)))
	if err != nil {
		return nil // the pattern is ours and is a good one
	}
	var out []string
	for _, l := range found {
		if st, err := os.Lstat(l); err == nil && st.Mode()&os.ModeSymlink != 0 {
			out = append(out, l)
		}
	}
	return out
}

// removeUnit takes a unit of ours away so that nothing starts it any more. It
// does not stop it: the one who runs may be the unit itself. The manager is not
// told yet: as long as it remembers the unit it starts a program that was killed
// in the middle of Finish once more.
func removeUnit(it Item) error {
	for _, l := range it.links() {
		if err := os.Remove(l); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if err := os.Remove(it.Path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

// reload makes the manager forget units that are gone. Where there is no
// manager there is nothing to forget.
func reload(ctx context.Context, user bool) {
	path, err := exec.LookPath("systemctl")
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, managerTimeout)
	defer cancel()
	args := []string{"daemon-reload"}
	if user {
		args = []string{"--user", "daemon-reload"}
	}
	_ = exec.CommandContext(ctx, path, args...).Run() // the files are gone; this only saves memory of the manager
}
