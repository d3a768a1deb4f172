package removal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"daypass/backend/faultpoint"
)

// Run removes everything listed that is not Last, the newest first and folders
// after what is in them, and then looks whether each thing is gone and whether
// anything else of ours has come. It may be repeated after a crash or by
// another process. step, which may be nil, is told the number of steps done and
// of all. A cancelled ctx stops between steps; what was not reached is reported
// as left. The state folder stays, with what is needed to go on.
func (j *Journal) Run(ctx context.Context, step func(done, all int)) Report {
	j.steps.write(stepLine{Do: "run"})
	order := j.order(false)
	failed := j.work(ctx, order, step)
	if failed {
		for _, it := range j.items { // keys do not wait until somebody comes to help
			if it.Kind == Secret && !it.Last {
				wipe(it.Path)
			}
		}
	}
	faultpoint.Hit("host/removal", "check")
	r := Report{Resumed: j.steps.runs}
	for _, it := range order { // the check does not ask what we did, only what is there
		if j.gone(it) {
			r.Removed = append(r.Removed, it.What)
		} else {
			r.Left = append(r.Left, it.What+" ("+it.Path+")")
		}
	}
	for _, it := range j.order(true) {
		r.Last = append(r.Last, it.What)
	}
	places, left := j.before.compare(j.dir, j.items, j.marks)
	r.Places, r.Left = places, append(r.Left, left...)
	r.Clean = len(r.Left) == 0
	return r
}

// Finish removes what is Last, the state folder with the journal at the very
// end, and reports everything anew: now nothing is Last any more. When r, the
// report of Run, was not clean the state folder with the journal and what brings
// us back stay, so that the next start tries again; secrets go all the same. It
// may be repeated like Run.
func (j *Journal) Finish(ctx context.Context, r Report, step func(done, all int)) Report {
	order := j.order(true)
	if !r.Clean {
		for _, it := range order {
			if it.Kind == Secret {
				wipe(it.Path)
			}
		}
		return r
	}
	j.work(ctx, order, step)
	users := map[bool]bool{}
	for _, it := range order {
		if it.Kind == Unit && !users[it.User] {
			users[it.User] = true
			reload(ctx, it.User)
		}
	}
	r.Last = nil
	for _, it := range order {
		if j.gone(it) {
			r.Removed = append(r.Removed, it.What)
		} else {
			r.Left = append(r.Left, it.What+" ("+it.Path+")")
		}
	}
	places, left := j.before.compare(j.dir, j.items, j.marks)
	r.Places, r.Left = places, append(r.Left, left...)
	r.Clean = len(r.Left) == 0
	return r
}

// order is the steps of one phase.
func (j *Journal) order(last bool) []Item {
	var out []Item
	for _, it := range j.items {
		if it.Last == last {
			out = append(out, it)
		}
	}
	slices.Reverse(out)
	slices.SortStableFunc(out, func(a, b Item) int { return rank(a, j.dir) - rank(b, j.dir) })
	return out
}

// rank: files first; then the units, then what they start, so that a program
// that is killed in between is started again by a manager that has not been
// told yet; then folders; the state folder last of all.
func rank(it Item, state string) int {
	switch {
	case it.Path == state:
		return 4
	case it.Kind == Folder, it.Kind == Parent:
		return 3
	case it.Last && it.Kind == Program:
		return 2
	case it.Kind == Unit:
		return 1
	}
	return 0
}

// work does the steps of order and reports whether one failed.
func (j *Journal) work(ctx context.Context, order []Item, step func(done, all int)) (failed bool) {
	if step == nil {
		step = func(int, int) {}
	}
	for i, it := range order {
		step(i, len(order))
		switch {
		case ctx.Err() != nil:
			failed = true
			continue
		case it.Path == j.dir && failed:
			continue // keep the list of what is to be finished
		case it.Kind == Program && j.steps.done[it.Path]:
			continue // it may be the customer's next download by now
		}
		faultpoint.Hit("host/removal before", it.What)
		if it.Path == j.dir {
			if err := j.removeState(); err != nil {
				failed = true
			}
			continue
		}
		j.steps.write(stepLine{Path: it.Path, Do: "begin"})
		faultpoint.Hit("host/removal begun", it.What)
		if err := remove(it); err != nil {
			failed = true
			continue
		}
		faultpoint.Hit("host/removal removed", it.What)
		j.steps.write(stepLine{Path: it.Path, Do: "done"})
	}
	step(len(order), len(order))
	return failed
}

// removeState empties and removes the state folder, the journal last: as long
// as the folder is there, somebody can read what is to be done.
func (j *Journal) removeState() error {
	st, err := os.Lstat(j.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return os.Remove(j.dir) // somebody put a link there: only the link goes
	}
	entries, err := os.ReadDir(j.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == journalName {
			continue
		}
		path := filepath.Join(j.dir, e.Name())
		if e.Type().IsRegular() {
			wipe(path)
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	faultpoint.Hit("host/removal", "emptied")
	if err := os.Remove(filepath.Join(j.dir, journalName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	faultpoint.Hit("host/removal", "journal removed")
	return os.Remove(j.dir)
}

// gone reports whether a thing is gone. A program whose step is done and that
// stands there again is not ours: the customer downloaded it once more.
func (j *Journal) gone(it Item) bool {
	if _, err := os.Lstat(it.Path); !errors.Is(err, fs.ErrNotExist) {
		return (j.steps.done[it.Path] && it.Kind == Program) || (it.Kind == Parent && used(it.Path))
	}
	return it.Kind != Unit || len(it.links()) == 0
}

func remove(it Item) error {
	switch it.Kind {
	case Unit:
		return removeUnit(it)
	case System:
		return await(it.Path)
	}
	st, err := os.Lstat(it.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if it.Kind == Folder {
		if !st.IsDir() {
			return os.Remove(it.Path) // somebody put a link there: only the link goes
		}
		if entries, err := os.ReadDir(it.Path); err == nil {
			for _, e := range entries {
				if e.Type().IsRegular() {
					wipe(filepath.Join(it.Path, e.Name()))
				}
			}
		}
		return os.RemoveAll(it.Path)
	}
	if it.Kind == Parent && st.IsDir() {
		if used(it.Path) {
			return nil
		}
		return os.Remove(it.Path)
	}
	if st.IsDir() {
		return fmt.Errorf("removal: %s is a folder", it.Path)
	}
	if it.Kind == Secret && st.Mode().IsRegular() {
		wipe(it.Path)
	}
	return os.Remove(it.Path)
}

// used reports whether a folder has something in it: then it is somebody
// else's by now.
func used(dir string) bool {
	e, err := os.ReadDir(dir)
	return err == nil && len(e) > 0
}

// awaitLimit is how long root's service may take to remove what is its own.
var awaitLimit = 15 * time.Second

// await waits until path is gone.
func await(path string) error {
	for end := time.Now().Add(awaitLimit); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("removal: %s is still there", path)
		}
	}
}

// wipe overwrites a small file, as well as a file system lets one.
func wipe(path string) {
	st, err := os.Lstat(path)
	if err != nil || !st.Mode().IsRegular() || st.Size() > maxJournal || strings.HasPrefix(filepath.Base(path), journalName) {
		return
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, st.Size())); err == nil {
		_ = f.Sync() // best effort: the file is unlinked next
	}
}
