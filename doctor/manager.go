package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/weir-project/weir/app"
	"github.com/weir-project/weir/config"
	"github.com/weir-project/weir/event"
)

// managers are the traffic managers that a gateway tells what it lets pass.
type managers struct {
	options *Options
	uplink  *config.Uplink // nil: it counts alone
	client  *http.Client
	err     error // why there is no client

	mu  sync.Mutex
	all []answered
}

// An answered is a traffic manager that answered.
type answered struct {
	group  int
	url    string
	id     string
	shares string
}

// newManagers makes the client by which they are asked.
func newManagers(o *Options) *managers {
	m := &managers{options: o, uplink: o.Config.Uplink()}
	if m.uplink == nil {
		return m
	}
	dial, err := app.ManagerDialer(&o.Config)
	if err != nil {
		m.err = err
		return m
	}
	m.client = &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{}).DialContext, DialTLSContext: dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the password is not for others
	}
	return m
}

// checks look at each traffic manager, and at each internal data API.
func (m *managers) checks() []*check {
	if m.uplink == nil {
		return nil
	}
	if m.err != nil {
		return []*check{{name: "traffic managers", run: func(_ context.Context, k *check) {
			k.add(Fault, "correct the section events", "%v", m.err)
		}}}
	}
	var all []*check
	for i := range m.uplink.Groups {
		for _, at := range m.uplink.Groups[i].URLs {
			all = append(all, &check{name: "traffic manager " + at, run: func(ctx context.Context, k *check) { m.look(ctx, k, i+1, at) }})
		}
	}
	if len(m.uplink.Groups) == 0 { // that of the process is asked within it
		return all
	}
	for i := range m.uplink.Data {
		d := &m.uplink.Data[i]
		all = append(all, &check{name: "data API " + d.URL, run: func(ctx context.Context, k *check) { m.data(ctx, k, d) }})
	}
	return all
}

// look asks one traffic manager: by a batch that nobody takes, since it does not say
// whose it is, and for what it counts of itself. Neither leaves a trace there.
func (m *managers) look(ctx context.Context, k *check, group int, at string) {
	body := event.AppendHeader(nil, &event.Header{})
	r, err := m.ask(ctx, http.MethodPost, at+"/events", m.uplink.Login, event.MediaType, body)
	if err != nil {
		k.unreachable(err, "traffic manager")
		return
	}
	if r.tls == nil {
		k.add(Info, "", "it is reached without TLS, on this machine")
	} else if len(r.tls.PeerCertificates) > 0 {
		k.certificate("TLS", r.tls.PeerCertificates[0])
	}
	if !k.takes(r, m.uplink.Login, "traffic manager") {
		return
	}
	if r.code != http.StatusBadRequest || !bytes.Contains(r.body, []byte("no incarnation")) {
		k.add(Fault, "correct the URL: a traffic manager of Weir takes events there", "what answers takes no events: %s", r.status)
		return
	}
	m.stats(ctx, k, group, at)
}

// takes says whether credentials are good, and whoever answers is ready.
func (k *check) takes(r *reply, l config.Login, what string) bool {
	switch r.code {
	case http.StatusUnauthorized, http.StatusForbidden:
		k.add(Fault, "give the user and the password that the "+what+" has", "it refuses the user %s or the password", l.User)
		return false
	case http.StatusServiceUnavailable:
		k.add(Warning, "wait until it has started", "it is not ready: %s", r.status)
		return false
	}
	return true
}

// stats takes what a traffic manager says of itself.
func (m *managers) stats(ctx context.Context, k *check, group int, at string) {
	var s struct {
		Manager string `json:"manager"`
		Issuer  string `json:"issuer"`
		Now     int64  `json:"now"`
		Shares  string `json:"shares"`
	}
	asked := time.Now()
	r, err := m.ask(ctx, http.MethodGet, beside(at, "/internal/data/v1/stats"), m.uplink.Login, "", nil)
	now := time.Now()
	if err == nil && r.code == http.StatusOK {
		err = json.Unmarshal(r.body, &s)
	} else if err == nil {
		err = errors.New(r.status)
	}
	if err != nil || s.Now == 0 {
		k.add(Warning, "run a newer version there", "it takes events, but does not say who it is: %v", err)
		return
	}
	version := m.version(ctx, at)
	k.add(OK, "", "%s answers in %v, takes the credentials, and runs version %s", s.Issuer,
		now.Sub(asked).Round(100*time.Microsecond), cmp.Or(version, "(unknown)"))
	if version != "" && m.options.Version != "" && version != m.options.Version {
		k.add(Info, "", "it runs version %s, and this is %s", version, m.options.Version)
	}
	m.sharing(k, s.Shares)
	// It tells milliseconds, rounded down.
	k.clock(time.UnixMilli(s.Now).Add(time.Millisecond/2), asked, now)
	k.clocks[0].Doubt += millis(time.Millisecond / 2)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, answered{group, at, s.Manager, s.Shares})
}

// beside returns the URL of another path where a URL leads to.
func beside(at, path string) string {
	u, err := url.Parse(at)
	if err != nil {
		return at
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}).String()
}

// sharing says whether a traffic manager shares its counters, and as this node does.
func (m *managers) sharing(k *check, shares string) {
	c := &m.options.Config
	how := c.Shared(config.Gateway)
	switch {
	case shares == "" && how != nil:
		k.add(Info, "set [apim.distributed_throttling] there, unless it is alone", "it does not share its counters, as this gateway does through %s", &how.Store)
	case shares == "":
		k.add(Info, "", "it does not share its counters with others")
	case how == nil:
		k.add(OK, "", "it shares its counters")
	case shares == app.SharesName(c, how):
		k.add(OK, "", "it shares its counters through the same store as this gateway, and has the same secret")
	default:
		k.add(Info, "compare [node] secret and the store of both, if they are to be the same",
			"it shares its counters, but not as this gateway does: its store, the address of that, or its secret is another")
	}
}

// compare says what only shows when all have answered.
func (m *managers) compare() []*check {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*check
	for i := range m.all {
		for _, o := range m.all[i+1:] {
			if a := m.all[i]; a.id == o.id {
				k := &check{name: "traffic managers"}
				k.add(Warning, "name each once: an event that comes twice is counted twice or not at all", "%s and %s are the same one", min(a.url, o.url), max(a.url, o.url))
				out = append(out, k)
			}
		}
	}
	if m.uplink == nil {
		return out
	}
	for g := range m.uplink.Groups {
		if k := m.compareGroup(g + 1); k != nil {
			out = append(out, k)
		}
	}
	return out
}

// compareGroup says whether the traffic managers of a group count as one.
func (m *managers) compareGroup(group int) *check {
	var of []answered
	for _, a := range m.all {
		if a.group == group {
			of = append(of, a)
		}
	}
	if len(of) < 2 {
		return nil
	}
	k := &check{name: fmt.Sprintf("group %d of traffic managers", group)}
	alike := true
	for _, a := range of {
		alike = alike && a.shares != "" && a.shares == of[0].shares
	}
	if alike {
		k.add(OK, "", "its %d share their counters, and each event goes to one of them", len(of))
	} else {
		k.add(Info, "let them share by [apim.distributed_throttling], the same store and the same [node] secret, if there are many events",
			"its %d do not all share their counters: each gets every event and decides for itself", len(of))
	}
	return k
}

// data asks an internal data API for the deny policies.
func (m *managers) data(ctx context.Context, k *check, d *config.DataSource) {
	r, err := m.ask(ctx, http.MethodGet, d.URL+"/block", d.Login, "", nil)
	switch {
	case err != nil:
		k.unreachable(err, "node that has it")
	case !k.takes(r, d.Login, "internal data API"):
	case r.code != http.StatusOK || !bytes.HasPrefix(bytes.TrimSpace(r.body), []byte("{")):
		k.add(Fault, "correct the URL", "what answers does not tell deny policies: %s", r.status)
	default:
		k.add(OK, "", "it tells deny policies and takes the credentials")
	}
}

var buildInfo = regexp.MustCompile(`(?m)^weir_build_info\{version="([^"]{0,64})"\} 1$`)

// version returns what runs where a URL leads to; empty if that is not told.
func (m *managers) version(ctx context.Context, at string) string {
	r, err := m.ask(ctx, http.MethodGet, beside(at, "/metrics"), config.Login{}, "", nil)
	if err != nil || r.code != http.StatusOK {
		return ""
	}
	if found := buildInfo.FindSubmatch(r.body); found != nil {
		return string(found[1])
	}
	return ""
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 16 << 20

// A reply is an answer that has been read.
type reply struct {
	code   int
	status string
	tls    *tls.ConnectionState // nil: none
	body   []byte
}

// ask makes a call and returns the answer.
func (m *managers) ask(ctx context.Context, method, at string, l config.Login, media string, body []byte) (*reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if l.User != "" {
		r.SetBasicAuth(l.User, string(l.Password))
	}
	if media != "" {
		r.Header.Set("Content-Type", media)
		r.Header.Set("Accept", media)
	}
	resp, err := m.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	return &reply{resp.StatusCode, resp.Status, resp.TLS, text}, nil
}

// unreachable says that something does not answer, and why.
func (k *check) unreachable(err error, what string) {
	advice := "start the " + what + ", or correct its address"
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	_, verification := errors.AsType[*tls.CertificateVerificationError](err)
	_, name := errors.AsType[*net.DNSError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case verification:
		advice = "set events.ca_file to the certificate authorities of the traffic managers, or to their own server.pem"
	case record || strings.Contains(err.Error(), "server gave HTTP response"):
		advice = "correct the address: there is no TLS at this port"
	case name:
		advice = "correct the name, or the name server"
	case errors.Is(err, context.DeadlineExceeded):
		k.add(Fault, "see whether it hangs, and whether a firewall is between", "it does not answer in time")
		return
	}
	k.add(Fault, advice, "%v", err)
}
