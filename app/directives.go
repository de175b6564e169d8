package app

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/policy"
)

// A directed is what holds for a gateway by the word of others.
type directed interface {
	SetDenies([]policy.Deny) error
	SetKeyTemplates([]string) error
}

// A directives is the deny policies and key templates that hold beside those of the
// gateway's own definition: what each source said when it was asked last, and what
// the topic has told since. The sources have the truth; the topic is faster.
type directives struct {
	gateway directed
	denies  bool // whether deny policies are enforced
	log     *slog.Logger

	mu      sync.Mutex
	sources []said
	hints   map[string]hint
}

// A said is what a source said, in the answer to a question that was asked at a time.
type said struct {
	asked     time.Time
	denies    []policy.Deny
	templates []string
}

// A hint is what the topic told of one deny policy or key template.
type hint struct {
	broker.Origin
	at     time.Time // when it came, by our clock
	gone   bool
	deny   policy.Deny
	policy bool // it is about deny; otherwise about the template
	text   string
}

// maxHints bounds what is kept of what the topic told.
const maxHints = 10_000

func newDirectives(g directed, denies bool, sources int, log *slog.Logger) *directives {
	return &directives{gateway: g, denies: denies, log: log, sources: make([]said, sources), hints: map[string]hint{}}
}

// answered takes what source i said.
func (d *directives) answered(i int, s said) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sources[i] = s
	oldest := s.asked
	for _, o := range d.sources {
		if o.asked.Before(oldest) {
			oldest = o.asked
		}
	}
	for k, h := range d.hints {
		if h.at.Before(oldest) { // all that were asked since know of it
			delete(d.hints, k)
		}
	}
	d.apply()
}

// deny takes what the topic told of a deny policy, and reports whether it is news.
func (d *directives) deny(now time.Time, b broker.Deny) bool {
	return d.hint("deny "+identify(&b.Deny), hint{Origin: b.Origin, at: now, gone: b.Remove, deny: b.Deny, policy: true})
}

// template takes what the topic told of a key template, and reports whether it is news.
func (d *directives) template(now time.Time, k broker.KeyTemplate) bool {
	news := false
	if k.Old != "" {
		news = d.hint("template "+k.Old, hint{Origin: k.Origin, at: now, gone: true, text: k.Old})
	}
	if k.New != "" {
		news = d.hint("template "+k.New, hint{Origin: k.Origin, at: now, text: k.New}) || news
	}
	return news
}

func (d *directives) hint(key string, h hint) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	was, known := d.hints[key]
	if known && !newer(&h.Origin, &was.Origin) || !known && len(d.hints) >= maxHints {
		return false
	}
	d.hints[key] = h
	d.apply()
	return true
}

// newer reports whether o was said after was.
func newer(o, was *broker.Origin) bool {
	if o.Issuer == was.Issuer {
		return o.Seq > was.Seq
	}
	return o.Issued.After(was.Issued)
}

// identify returns what tells a deny policy from others.
func identify(d *policy.Deny) string {
	if d.ID != "" {
		return d.ID
	}
	return content(d)
}

// content returns what a deny policy denies.
func content(d *policy.Deny) string {
	return fmt.Sprint(d.Kind, " ", d.Value, " ", d.IP, " ", d.Invert)
}

// apply makes all of it hold. The lock is held.
func (d *directives) apply() {
	if err := d.gateway.SetKeyTemplates(d.templates()); err != nil {
		d.log.Error("key templates of custom rules refused, those before stay in force", "error", oneLine(err))
	}
	if !d.denies {
		return
	}
	if err := d.gateway.SetDenies(d.all()); err != nil {
		d.log.Error("deny policies refused, those before stay in force", "error", oneLine(err))
	}
}

// all returns the deny policies, each once.
func (d *directives) all() []policy.Deny {
	gone := map[string]bool{}
	for _, h := range d.hints {
		if h.policy {
			// Where sources give no ID, what is denied tells which is meant.
			gone[identify(&h.deny)] = true
			if h.gone {
				gone[content(&h.deny)] = true
			}
		}
	}
	var all []policy.Deny
	seen := map[string]bool{}
	add := func(p policy.Deny) {
		if id := identify(&p); !seen[id] {
			seen[id] = true
			all = append(all, p)
		}
	}
	for _, h := range d.hints {
		if h.policy && !h.gone {
			add(h.deny)
		}
	}
	for _, s := range d.sources {
		for _, p := range s.denies {
			if !gone[identify(&p)] && !gone[content(&p)] {
				add(p)
			}
		}
	}
	return all
}

// templates returns the key templates, each once.
func (d *directives) templates() []string {
	var all []string
	seen := map[string]bool{}
	for _, h := range d.hints {
		if !h.policy {
			seen[h.text] = true
			if !h.gone {
				all = append(all, h.text)
			}
		}
	}
	for _, s := range d.sources {
		for _, t := range s.templates {
			if !seen[t] {
				seen[t] = true
				all = append(all, t)
			}
		}
	}
	return all
}
