package ingest

import (
	"net/http"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
	"github.com/weir-project/weir/trafficmanager"
)

// maxRefusals bounds how many refused events an answer names.
const maxRefusals = 1000

// events takes a batch in our format.
func (h *Handler) events(w http.ResponseWriter, r *http.Request) {
	in := h.intakes.Get().(*intake)
	defer h.intakes.Put(in)
	body, no := in.read(w, r, event.MediaType)
	if no != nil {
		fail(w, no.status, no.text)
		return
	}
	var header event.Header
	var batch *trafficmanager.Batch
	now := h.now()
	refused, err := in.decoder.Decode(body, &header, func(_ int, e *weir.Event) error {
		if batch == nil { // the header has been read, and all is whole
			batch = h.manager.Begin(now, &header)
		}
		return batch.Count(e)
	})
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if batch == nil {
		batch = h.manager.Begin(now, &header)
	}
	batch.Refuse(len(refused))
	reply := event.Reply{Refused: refused[:min(len(refused), maxRefusals)]}
	batch.End(&reply)
	in.answer = event.AppendReply(in.answer[:0], &reply)
	w.Header().Set("Content-Type", event.MediaType)
	send(w, http.StatusOK, in.answer)
}

// A received is the answer to events in WSO2's form.
type received struct {
	Accepted int       `json:"accepted"`
	Late     int       `json:"late,omitempty"` // too old to be counted
	Refused  []refused `json:"refused"`
}

type refused struct {
	Index  int    `json:"index"`
	Reason string `json:"reason"`
}

// wso2 takes an event in WSO2's form, or an array of them. Its gateways number
// nothing and send each event once, so all are counted as they are.
func (h *Handler) wso2(w http.ResponseWriter, r *http.Request) {
	in := h.intakes.Get().(*intake)
	defer h.intakes.Put(in)
	body, no := in.read(w, r, "application/json")
	if no != nil {
		fail(w, no.status, no.text)
		return
	}
	now, events := h.now(), 0
	var batch *trafficmanager.Batch
	bad, err := in.wso2.Decode(body, now, func(_ int, e *weir.Event) error {
		if batch == nil {
			batch = h.manager.Begin(now, nil)
		}
		if err := batch.Count(e); err != nil {
			return err
		}
		events++
		return nil
	})
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	if batch == nil {
		batch = h.manager.Begin(now, nil)
	}
	batch.Refuse(len(bad))
	out := received{Late: batch.Late(), Refused: make([]refused, len(bad))}
	out.Accepted = events - out.Late
	batch.End(nil)
	for i, b := range bad {
		out.Refused[i] = refused{b.Index, b.Reason}
	}
	answer(w, http.StatusOK, out)
}
