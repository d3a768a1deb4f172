package api

import (
	"net/http"
	"strconv"

	"daypass/backend/fault"
	"daypass/backend/rendezvous/protocol"
)

// history serves the company's sealed history.
func (a *API) history() {
	b := protocol.Base + "/history"
	a.mux.Handle("POST "+b+"/device", a.console(a.historyDevice))
	a.mux.Handle("GET "+b+"/keys", a.console(a.historyKeys))
	a.mux.Handle("POST "+b+"/keys", a.console(a.historyAdd))
	a.mux.Handle("POST "+b+"/wraps", a.console(a.historyAdd))
	a.mux.Handle("POST "+b+"/accept", a.console(a.historyAccept))
	a.mux.Handle("POST "+b+"/records", a.console(a.historyUpload))
	a.mux.Handle("GET "+b+"/records", a.console(a.historyDownload))
}

func (a *API) historyDevice(w http.ResponseWriter, r *request) {
	var in protocol.Fact
	if !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.SetDevice(r.Context(), r.auth, in.Fact))
}

func (a *API) historyKeys(w http.ResponseWriter, r *request) {
	k, err := a.cfg.Directory.HistoryKeys(r.Context(), r.auth)
	a.answer(w, k, err)
}

func (a *API) historyAdd(w http.ResponseWriter, r *request) {
	var in protocol.HistoryGen
	if !a.read(w, r, &in) {
		return
	}
	gen := 0
	if q := r.URL.Query().Get("gen"); q != "" {
		var err error
		if gen, err = strconv.Atoi(q); err != nil {
			a.fail(w, fault.New(fault.Invalid, "history.key", "The history key cannot be stored like this.", "Update Daypass."))
			return
		}
	}
	a.answer(w, nothing{}, a.cfg.Directory.AddHistoryKey(r.Context(), r.auth, gen, in))
}

func (a *API) historyAccept(w http.ResponseWriter, r *request) {
	var in protocol.HistoryAccept
	if !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.AcceptHistoryKey(r.Context(), r.auth, in))
}

func (a *API) historyUpload(w http.ResponseWriter, r *request) {
	var in protocol.HistoryUpload
	if !a.read(w, r, &in) {
		return
	}
	a.answer(w, nothing{}, a.cfg.Directory.PutHistory(r.Context(), r.auth, in))
}

func (a *API) historyDownload(w http.ResponseWriter, r *request) {
	after, err := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	if err != nil || after < 0 {
		a.fail(w, fault.New(fault.Invalid, "history.download", "The server cannot read the request.", "Update Daypass."))
		return
	}
	p, err := a.cfg.Directory.History(r.Context(), r.auth, after)
	a.answer(w, p, err)
}
