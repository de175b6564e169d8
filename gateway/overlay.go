package gateway

import (
	"fmt"
	"slices"

	"github.com/weir-project/weir/policy"
)

// An overlay is what traffic managers add to the gateway's own definition.
type overlay struct {
	denies    []policy.Deny
	templates []*policy.KeyTemplate
}

// SetDenies makes denies the deny policies that hold beside those of the
// definition, in place of those set before; one with an ID of the definition takes
// its place. If one is wrong nothing changes.
func (g *Gateway) SetDenies(denies []policy.Deny) error {
	g.apply.Lock()
	defer g.apply.Unlock()
	o := g.overlay
	o.denies = slices.Clone(denies)
	if err := g.setOverlay(o); err != nil {
		return fmt.Errorf("set deny policies: %w", err)
	}
	return nil
}

// SetKeyTemplates makes texts the keys of custom rules that traffic managers
// evaluate for this gateway, in place of those set before: a call is refused while
// a decision on the text of its key says so. Those that the definition has itself
// are left out. If one is wrong nothing changes.
func (g *Gateway) SetKeyTemplates(texts []string) error {
	g.apply.Lock()
	defer g.apply.Unlock()
	o := g.overlay
	o.templates = nil
	for _, text := range texts {
		t, err := policy.ParseKeyTemplate(text, g.options.IPv6Bits)
		if err != nil {
			return fmt.Errorf("set key templates: %w", err)
		}
		o.templates = append(o.templates, t)
	}
	if err := g.setOverlay(o); err != nil {
		return fmt.Errorf("set key templates: %w", err)
	}
	return nil
}

// setOverlay makes o what is in force. The caller has the lock.
func (g *Gateway) setOverlay(o overlay) error {
	if s := g.snapshot.Load(); s != nil {
		next, err := s.under(&o)
		if err != nil {
			return err
		}
		g.snapshot.Store(next)
	} else if _, err := new(policy.Set).WithDenies(o.denies); err != nil {
		return err
	}
	g.overlay = o
	return nil
}

// under returns s with what o adds to its definition.
func (s *snapshot) under(o *overlay) (*snapshot, error) {
	next := *s
	var err error
	if next.set, err = s.base.WithDenies(o.denies); err != nil {
		return nil, err
	}
	own := s.base.KeyTemplates()
	next.templates = nil
	for _, t := range o.templates {
		if !slices.Contains(own, t.String()) {
			next.templates = append(next.templates, t)
		}
	}
	return &next, nil
}
