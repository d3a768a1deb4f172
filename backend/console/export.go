package console

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"daypass/backend/export"
	"daypass/backend/fault"
	"daypass/backend/grant"
	"daypass/backend/receipt"
)

// ExportRequest says what to write. A person chooses the file.
type ExportRequest struct {
	Format string       `json:"format"` // "csv", "excel", "json", "html"
	German bool         `json:"german"`
	ID     string       `json:"id"`    // one session; "" for all that match Query
	Query  HistoryQuery `json:"query"` // its Limit and After do not count
	Title  string       `json:"title"` // what was asked for, in words, for the page to print
	Dialog string       `json:"dialog"`
}

// ExportProgress is how far an export is.
type ExportProgress struct {
	Running bool `json:"running"`
	Done    int  `json:"done"`
	All     int  `json:"all"`
}

// ExportResult is what was written.
type ExportResult struct {
	Sessions  int    `json:"sessions"`
	Path      string `json:"path"` // "" if the person chose no file
	Cancelled bool   `json:"cancelled"`
}

// work is the one export at a time.
type work struct {
	mu     sync.Mutex // guards all following
	cancel context.CancelFunc
	state  ExportProgress
}

func (w *work) begin() (context.Context, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state.Running {
		return nil, false
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.state = cancel, ExportProgress{Running: true}
	return ctx, true
}

func (w *work) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancel()
	w.state.Running = false
}

func (w *work) told(done, all int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Done, w.state.All = done, all
}

// ExportProgress says how far the export is.
func (h *History) ExportProgress() ExportProgress {
	h.work.mu.Lock()
	defer h.work.mu.Unlock()
	return h.work.state
}

// CancelExport ends the export that runs; nothing of it stays.
func (h *History) CancelExport() {
	h.work.mu.Lock()
	defer h.work.mu.Unlock()
	if h.work.cancel != nil {
		h.work.cancel()
	}
}

// Export asks the person for a file and writes it. It returns when it is
// written, cancelled or failed; what was at the place before stays until then.
func (h *History) Export(in ExportRequest) (ExportResult, error) {
	if err := bounded(1024, in.Format, in.Title, in.Dialog, in.ID); err != nil {
		return ExportResult{}, err
	}
	q, err := in.Query.store()
	if err != nil {
		return ExportResult{}, err
	}
	q.After = ""
	var id grant.ID
	if in.ID != "" {
		if id, err = parsed(in.ID, "history.export"); err != nil {
			return ExportResult{}, err
		}
	}
	ext := map[string]string{"csv": "csv", "excel": "csv", "json": "json", "html": "html"}[in.Format]
	if ext == "" {
		return ExportResult{}, crossed(fault.New(fault.Invalid, "history.export", "Daypass does not write this kind of file.", ""))
	}
	ctx, free := h.work.begin()
	if !free {
		return ExportResult{}, crossed(fault.New(fault.Conflict, "history.export", "An export is running already.", "Wait for it, or cancel it."))
	}
	defer h.work.end()
	now := time.Now()
	path, err := h.win.SaveFile(in.Dialog, "daypass-"+now.Format("2006-01-02")+"."+ext)
	if err != nil {
		return ExportResult{}, crossed(fault.Wrap(err, fault.Unsupported, "history.export", "The system did not show where to save the file.", "Try again."))
	}
	if path == "" {
		return ExportResult{Cancelled: true}, nil
	}
	if filepath.Ext(path) == "" {
		path += "." + ext
	}
	o := export.Options{German: in.German, Zone: time.Local, Excel: in.Format == "excel", Record: id != (grant.ID{}), Title: in.Title, Now: now}
	n := 0
	err = written(path, func(w io.Writer) error {
		var err error
		n, err = h.desk.Export(ctx, w, export.Format(ext), o, q, id, h.work.told)
		return err
	})
	if fault.KindOf(err) == fault.Cancelled || errors.Is(err, context.Canceled) {
		return ExportResult{Cancelled: true, Sessions: n}, nil
	}
	if err != nil {
		return ExportResult{}, crossed(err)
	}
	return ExportResult{Sessions: n, Path: path}, nil
}

// written writes a file beside the place and puts it there when it is whole.
func written(path string, write func(io.Writer) error) (err error) {
	cannot := func(cause error) error {
		kind := fault.Denied
		if fault.KindOf(cause) == fault.Full {
			kind = fault.Full
		}
		return fault.Wrap(cause, kind, "history.export", "The file could not be written there.", "Check space and rights of the folder, or choose another one.")
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".daypass-*.part")
	if err != nil {
		return cannot(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, drop(f))
		}
	}()
	to := &sink{w: f}
	if err := write(to); err != nil {
		if to.err != nil {
			return cannot(to.err)
		}
		return err
	}
	if err := errors.Join(f.Sync(), f.Close(), os.Rename(f.Name(), path)); err != nil {
		return cannot(err)
	}
	return nil
}

func drop(f *os.File) error {
	_ = f.Close() // it may be closed already
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// sink remembers that it was the disk that failed, in small writes gathered.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	if err != nil {
		s.err = err
	}
	return n, err
}

// ReceiptFinding is what a customer's receipt says and what it is worth.
type ReceiptFinding struct {
	Chosen     bool            `json:"chosen"` // false: the person chose no file
	File       string          `json:"file"`
	Standing   string          `json:"standing"` // desk.ReceiptCheck
	ID         string          `json:"id"`
	Known      bool            `json:"known"` // the session is in this history
	Company    string          `json:"company"`
	Technician string          `json:"technician"`
	Computer   string          `json:"computer"`
	StartedAt  int64           `json:"startedAt"`
	EndedAt    int64           `json:"endedAt"`
	EndedBy    string          `json:"endedBy"`
	Clean      bool            `json:"clean"`
	Both       bool            `json:"both"` // the console signed it as well
	Checks     []receipt.Check `json:"checks"`
}

// CheckReceipt asks the person for a receipt that a customer gave them and says
// what it is worth.
func (h *History) CheckReceipt(dialog string) (ReceiptFinding, error) {
	if err := bounded(200, dialog); err != nil {
		return ReceiptFinding{}, err
	}
	path, err := h.win.OpenFile(dialog, "*.json")
	if err != nil {
		return ReceiptFinding{}, crossed(fault.Wrap(err, fault.Unsupported, "history.receipt", "The system did not show which files there are.", "Try again."))
	}
	if path == "" {
		return ReceiptFinding{}, nil
	}
	b, err := readBounded(path, receipt.MaxFile)
	if err != nil {
		return ReceiptFinding{}, crossed(fault.Wrap(err, fault.Denied, "history.receipt", "The file cannot be read.", "Choose another one."))
	}
	r, err := h.desk.CheckReceipt(b)
	if err != nil {
		return ReceiptFinding{}, crossed(err)
	}
	x := r.Body
	return ReceiptFinding{
		Chosen: true, File: filepath.Base(path), Standing: r.Standing, ID: x.Session.String(), Known: r.Known, Company: x.Company, Technician: x.Technician, Computer: x.Computer,
		StartedAt: unixMilli(x.Activated), EndedAt: unixMilli(x.Ended), EndedBy: string(x.EndedBy), Clean: x.Removal.Clean, Both: r.Verdict.Both, Checks: r.Verdict.Checks,
	}, nil
}

// readBounded reads at most limit bytes and one more, so that too many are
// noticed by who reads them.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	return b, errors.Join(err, f.Close())
}
