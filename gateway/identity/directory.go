package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/weir-project/weir"
)

// A Directory is the registered applications, their keys and what they may
// call. It never changes and is safe for concurrent use; a new set of
// applications is a new Directory. Look-ups allocate nothing.
type Directory struct {
	applications map[string]*consumer // by ID
	keys         map[[sha256.Size]byte]*keyEntry
	clients      map[clientKey]*clientEntry
}

// A consumer is one application as look-ups need it.
type consumer struct {
	words  weir.Application
	rights rights
}

// A keyEntry is what one API key stands for.
type keyEntry struct {
	hash      [sha256.Size]byte
	principal Principal
}

// A clientKey names an OAuth client; an empty issuer means any.
type clientKey struct{ issuer, id string }

type clientEntry struct {
	consumer *consumer
	keyType  weir.KeyType
}

// NewDirectory compiles applications. The error names every fault with its
// application: missing or repeated IDs, keys, clients and subscriptions, and
// hashes that are none.
func NewDirectory(applications []Application) (*Directory, error) {
	d := &Directory{
		applications: make(map[string]*consumer, len(applications)),
		keys:         make(map[[sha256.Size]byte]*keyEntry),
		clients:      make(map[clientKey]*clientEntry),
	}
	var faults []error
	for i, a := range applications {
		for _, err := range d.add(a) {
			faults = append(faults, fmt.Errorf("application %d %q: %w", i+1, a.Name, err))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return d, nil
}

// add enters one application and returns what is wrong with it.
func (d *Directory) add(a Application) (faults []error) {
	if a.ID == "" {
		return []error{errors.New("has no id")}
	}
	if _, ok := d.applications[a.ID]; ok {
		return []error{fmt.Errorf("id %q is another application's too", a.ID)}
	}
	c := &consumer{
		words:  weir.Application{ID: a.ID, Name: a.Name, Owner: a.Owner, Tier: a.Tier},
		rights: make(rights, len(a.Subscriptions)),
	}
	d.applications[a.ID] = c
	for _, s := range a.Subscriptions {
		if err := c.rights.add(s); err != nil {
			faults = append(faults, err)
		}
	}
	for i, k := range a.Keys {
		if err := d.addKey(c, k); err != nil {
			faults = append(faults, fmt.Errorf("key %d: %w", i+1, err))
		}
	}
	for i, k := range a.Clients {
		if err := d.addClient(c, k); err != nil {
			faults = append(faults, fmt.Errorf("client %d: %w", i+1, err))
		}
	}
	return faults
}

// add enters one subscription.
func (r rights) add(s Subscription) error {
	if s.API == "" {
		return errors.New("subscription names no api")
	}
	v := version{s.API, s.Version}
	if _, ok := r[v]; ok {
		return fmt.Errorf("subscribes twice to %s %s", s.API, s.Version)
	}
	r[v] = s.Tier
	return nil
}

func (d *Directory) addKey(c *consumer, k Key) error {
	hash, err := decodeHash(k.Hash)
	if err != nil {
		return err
	}
	if other, ok := d.keys[hash]; ok {
		return fmt.Errorf("is a key of application %q too", other.principal.Application.Name)
	}
	d.keys[hash] = &keyEntry{hash, Principal{
		Application: c.words,
		User:        c.words.Owner,
		Token:       "key:" + hex.EncodeToString(hash[:12]),
		KeyType:     k.Type,
		rights:      c.rights,
	}}
	return nil
}

func (d *Directory) addClient(c *consumer, k Client) error {
	if k.ID == "" {
		return errors.New("has no id")
	}
	key := clientKey{k.Issuer, k.ID}
	if other, ok := d.clients[key]; ok {
		return fmt.Errorf("id %q is a client of application %q too", k.ID, other.consumer.words.Name)
	}
	d.clients[key] = &clientEntry{c, k.Type}
	return nil
}

// Len returns the number of applications.
func (d *Directory) Len() int { return len(d.applications) }

// APIKey returns the principal of an API key. Keys are looked up by their hash,
// so that nothing about a stored key can be learnt from how long a wrong one
// takes. The form of a key is looked at only to say in the log why it is wrong.
func (d *Directory) APIKey(text string) (Principal, error) {
	if len(text) != keyLength {
		return Principal{}, checkKey(text)
	}
	hash := sumKey(text)
	entry, ok := d.keys[hash]
	if !ok || subtle.ConstantTimeCompare(entry.hash[:], hash[:]) != 1 {
		if err := checkKey(text); err != nil {
			return Principal{}, err
		}
		return Principal{}, errKeyUnknown
	}
	return entry.principal, nil
}

var errKeyUnknown = invalid("API key is not registered")

// Token returns the principal of a verified token. Its application is the one
// that is registered under its client or application ID; only if neither is
// known, and the issuer may say so, it is what the token's own claims say.
func (d *Directory) Token(t *Token) (Principal, error) {
	p := Principal{
		User:    t.Subject,
		Token:   t.ID,
		KeyType: t.KeyType,
		Claims:  t.claims,
		permits: t.permits,
	}
	client := d.client(t.Issuer, t.ClientID)
	var named *consumer
	if t.application != nil {
		if named = d.applications[t.application.ID]; named == nil && t.uuid != "" {
			named = d.applications[t.uuid]
		}
	}
	switch {
	case client != nil && named != nil && client.consumer != named:
		return Principal{}, errTwoApplications
	case client != nil:
		p.take(client.consumer)
		p.KeyType = client.keyType
	case named != nil:
		p.take(named)
	case t.application != nil:
		p.Application, p.rights = *t.application, t.rights
	default:
		return Principal{}, errNoApplication
	}
	if p.User == "" {
		p.User = p.Application.Owner
	}
	return p, nil
}

var (
	errTwoApplications = invalid("token names the client of one application and the id of another")
	errNoApplication   = invalid("token names no application that is registered")
)

// client returns the registered client of an issuer, or nil.
func (d *Directory) client(issuer, id string) *clientEntry {
	if id == "" || len(d.clients) == 0 {
		return nil
	}
	if c, ok := d.clients[clientKey{issuer, id}]; ok {
		return c
	}
	return d.clients[clientKey{"", id}]
}

func (p *Principal) take(c *consumer) {
	p.Application, p.rights = c.words, c.rights
}
