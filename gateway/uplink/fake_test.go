package uplink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A network connects in memory, so that time can be virtual.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener
}

// A listener takes connections at one address of a network.
type listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	hole   bool // connections are never made
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// listen takes connections to an address, or lets them wait for ever.
func (n *network) listen(address string, hole bool) *listener {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		n.listeners = make(map[string]*listener)
	}
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{}), hole: hole}
	n.listeners[address] = l
	return l
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	if l == nil {
		return nil, refused
	}
	ours, theirs := net.Pipe()
	if l.hole {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A trouble is what a fake manager does with a call instead of its duty.
type trouble func(m *fakeManager, w http.ResponseWriter, r *http.Request, h *event.Header, names []string)

// A fakeManager is a traffic manager that counts bodies by their names.
type fakeManager struct {
	t       testing.TB
	address string
	net     *network
	server  *http.Server
	done    chan struct{}

	mu        sync.Mutex
	run       uint64
	issuer    string
	shares    string
	store     *store // what those that share have counted, if they do
	peers     map[uint64]*peer
	ahead     time.Duration // of its clock
	version   uint64
	decisions []weir.Decision // of version 1 and on
	calls     []event.Header
	at        []time.Time
	bodies    [][]string // of each call
	trouble   trouble    // nil: none
}

// A store is what managers share.
type store struct {
	mu      sync.Mutex
	counted map[string]int
}

func (s *store) add(name string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted[name] += n
}

// all returns a copy of what is counted.
func (s *store) all() map[string]int {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counted)
}

// sharing makes managers share their counters.
func sharing(all ...*fakeManager) *store {
	s := &store{counted: make(map[string]int)}
	for _, m := range all {
		m.shares, m.store = "redis", s
	}
	return s
}

// A peer is what a fake manager knows of a gateway's run.
type peer struct {
	last    uint64
	counted map[string]int
}

func newFake(t testing.TB, n *network, address string) *fakeManager {
	return &fakeManager{t: t, address: address, net: n, run: uint64(len(address))<<32 + 1, issuer: address, peers: make(map[uint64]*peer)}
}

// start serves until the test ends or stop is called.
func (m *fakeManager) start() {
	l := m.net.listen(m.address, false)
	server, done := &http.Server{Handler: m, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}, make(chan struct{})
	m.server, m.done = server, done
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
}

// stop closes the port and all connections.
func (m *fakeManager) stop() {
	_ = m.server.Close()
	<-m.done
	m.server = nil
}

// restart makes m another run, which knows nothing; only what is in the store stays.
func (m *fakeManager) restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.run++
	m.peers = make(map[uint64]*peer)
}

func (m *fakeManager) set(tr trouble) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trouble = tr
}

// counted returns what is counted of the gateway's run.
func (m *fakeManager) counted() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string]int)
	for _, p := range m.peers {
		for name, n := range p.counted {
			all[name] += n
		}
	}
	return all
}

func (m *fakeManager) headers() []event.Header {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

func (m *fakeManager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	batch, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	h, names, err := decode(batch)
	if err != nil || h.Incarnation == 0 || r.Method != http.MethodPost || r.URL.Path != "/endpoints/events" || r.Header.Get("Content-Type") != event.MediaType {
		m.t.Errorf("%s: bad call %s %s: %v", m.address, r.Method, r.URL.Path, err)
	}
	m.mu.Lock()
	m.calls = append(m.calls, h)
	m.at = append(m.at, time.Now())
	m.bodies = append(m.bodies, names)
	tr := m.trouble
	m.mu.Unlock()
	if tr != nil {
		tr(m, w, r, &h, names)
		return
	}
	m.answer(w, m.count(&h, names))
}

// count does a manager's duty.
func (m *fakeManager) count(h *event.Header, names []string) event.Reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := event.Reply{Manager: m.run, Issuer: m.issuer, Shares: m.shares, Now: time.Now().Add(m.ahead), Version: m.version}
	if r.All = h.Manager != m.run; r.All {
		r.Decisions = m.decisions
	} else {
		r.Decisions = m.decisions[min(h.Version, m.version):]
	}
	p := m.peers[h.Incarnation]
	switch {
	case p == nil && !h.First:
		r.Restate = true
		return r
	case p != nil && h.Seq <= p.last:
		return r
	case h.First:
		if p != nil && m.shares != "" {
			for name, n := range p.counted {
				m.store.add(name, -n)
			}
		}
		p = &peer{counted: make(map[string]int)}
		m.peers[h.Incarnation] = p
	}
	p.last = h.Seq
	for _, name := range names {
		p.counted[name]++
		if m.shares != "" {
			m.store.add(name, 1)
		}
	}
	return r
}

func (m *fakeManager) answer(w http.ResponseWriter, r event.Reply) {
	w.Header().Set("Content-Type", event.MediaType)
	_, _ = w.Write(event.AppendReply(nil, &r))
}

// A ledger is what a fake gateway told, and can tell again.
type ledger struct {
	mu    sync.Mutex
	n     uint64
	names []string
	size  int // of bodies; zero: small ones
}

// tell counts one more body and tells it.
func (g *ledger) tell(u *Uplink) {
	n, name := g.note()
	u.Events(n, g.body(name))
}

// note counts one more body.
func (g *ledger) note() (n uint64, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n++
	name = fmt.Sprintf("%06d", g.n)
	g.names = append(g.names, name)
	return g.n, name
}

func (g *ledger) body(name string) event.Body {
	if g.size > len(name) {
		name += strings.Repeat(" ", g.size-len(name))
	}
	return body(name, 1)
}

// restate implements Options.Restate.
func (g *ledger) restate(time.Time) (uint64, []event.Body) {
	g.mu.Lock()
	defer g.mu.Unlock()
	bodies := make([]event.Body, 0, len(g.names))
	for _, name := range g.names {
		bodies = append(bodies, g.body(name))
	}
	return g.n, bodies
}

// check fails unless counted has each name once.
func (g *ledger) check(t testing.TB, what string, counted map[string]int) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	lost, twice := 0, 0
	total := make(map[string]int)
	for name, n := range counted {
		total[strings.TrimSpace(name)] += n
	}
	for _, name := range g.names {
		switch n := total[name]; {
		case n < 1:
			lost++
		case n > 1:
			twice++
		}
	}
	if lost > 0 || twice > 0 || len(total) > len(g.names) {
		t.Errorf("%s: of %d events, %d are not counted, %d more than once; %d are counted", what, len(g.names), lost, twice, len(total))
	}
}

// A heard is the decisions that came.
type heard struct {
	mu    sync.Mutex
	texts []string // "text skew", and "all of issuer up to seq: n, skew"
}

func (h *heard) decide(d *weir.Decision, skew time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, fmt.Sprintf("%s %v", d.Text, skew))
}

func (h *heard) decideAll(issuer string, upTo uint64, ds []weir.Decision, skew time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, fmt.Sprintf("all of %s up to %d: %d, %v", issuer, upTo, len(ds), skew))
}

func (h *heard) retire(issuer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.texts = append(h.texts, "the end of "+issuer)
}

func (h *heard) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	texts := h.texts
	h.texts = nil
	return texts
}

// A lines is what was logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// A world is a gateway with its uplink, and traffic managers, in a bubble of
// virtual time.
type world struct {
	t      testing.TB
	net    *network
	ledger *ledger
	heard  *heard
	log    *lines
	uplink *Uplink
	end    func()
}

func newWorld(t testing.TB) *world {
	return &world{t: t, net: &network{}, ledger: &ledger{}, heard: &heard{}, log: &lines{}}
}

// managers starts managers at tm1, tm2 and so on.
func (w *world) managers(n int) []*fakeManager {
	var all []*fakeManager
	for i := range n {
		m := newFake(w.t, w.net, fmt.Sprintf("127.0.0.1:%d", i+1))
		m.run += uint64(i) << 48
		m.issuer = fmt.Sprintf("tm%d", i+1)
		m.start()
		all = append(all, m)
	}
	return all
}

// urls returns a group of the managers.
func groupOf(typ Type, managers ...*fakeManager) Group {
	g := Group{Type: typ}
	for _, m := range managers {
		g.Managers = append(g.Managers, Manager{URL: "http://" + m.address})
	}
	return g
}

func (w *world) options(groups ...Group) Options {
	return Options{
		Groups: groups, Node: "g1", Incarnation: 77,
		Restate: w.ledger.restate, Decide: w.heard.decide, DecideAll: w.heard.decideAll, Retire: w.heard.retire,
		Dial: w.net.dial, Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
}

// run runs an uplink until the end, or until stop.
func (w *world) run(o Options) {
	w.t.Helper()
	u, err := New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := u.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}()
	w.uplink = u
	w.end = func() { cancel(); <-done }
}

// tell tells events for a time, one each 10 ms.
func (w *world) tell(d time.Duration) { w.tellEach(10*time.Millisecond, d) }

func (w *world) tellEach(pause, d time.Duration) {
	for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(pause) {
		w.ledger.tell(w.uplink)
	}
}

func (w *world) stats(i int) ManagerStats { return w.uplink.Stats().Managers[i] }

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer func() {
			if w.end != nil {
				w.end()
			}
			w.net.mu.Lock()
			defer w.net.mu.Unlock()
			for _, l := range w.net.listeners {
				_ = l.Close()
			}
		}()
		f(t, w)
	})
}
