package config

import (
	"encoding/base64"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/weir-project/weir/broker"
)

// An Uplink is how a gateway works together with traffic managers, whichever sections
// say so.
type Uplink struct {
	Groups []Group // each gets every event; none where the traffic manager is in the process
	Login  Login   // for events
	// Data are the internal data APIs that are asked for deny policies and key
	// templates.
	Data []DataSource
	// Brokers are those whose topic is listened to, to each on its own.
	Brokers []broker.URL
	// Denies tells whether deny policies that come from elsewhere are enforced.
	Denies bool
}

// A Login is a user and a password.
type Login struct {
	User     string
	Password Secret
}

// A Group is traffic managers to one of which an event goes.
type Group struct {
	URLs     []string // https://host:9443/endpoints
	FailOver bool     // in their order; otherwise load is balanced
}

// A DataSource is an internal data API.
type DataSource struct {
	URL   string // https://host:9443/internal/data/v1
	Login Login
}

// Uplink returns how the gateway works together with traffic managers, or nil if it
// counts alone.
func (c *Config) Uplink() *Uplink { return c.uplink(func(string, int, string, string, ...any) {}) }

// uplink is Uplink; it reports what is wrong to add.
func (c *Config) uplink(add adder) *Uplink {
	var u *Uplink
	switch {
	case c.Role == Microgateway && c.Throttling.Enable:
		u = c.microUplink(add)
	case c.Role == All || c.Role == Gateway:
		u = c.serveUplink(add)
	}
	if u == nil {
		return nil
	}
	for _, g := range u.Groups {
		for _, text := range g.URLs {
			if parsed, err := url.Parse(text); err == nil && isWellKnown(string(u.Login.Password)) && !isLoopback(parsed.Hostname()) {
				section, key := c.passwordKey()
				add(section, 0, key, "is one that anybody knows, or empty, and %s is another machine: set a password", parsed.Hostname())
				return u
			}
		}
	}
	return u
}

// passwordKey names the key that has the password for events.
func (c *Config) passwordKey() (section, key string) {
	switch {
	case c.Role == Microgateway && c.Binary.Enable && c.Binary.User != "":
		return "throttlingConfig.binary", "password"
	case c.Role == Microgateway:
		return "throttlingConfig", "throttleEndpointbase64Header"
	case c.APIM.ReceiverUser != "":
		return "apim.throttling", "receiver_password"
	}
	return "apim.throttling", "password"
}

// microUplink returns what throttlingConfig says.
func (c *Config) microUplink(add adder) *Uplink {
	u := &Uplink{Denies: true}
	t := &c.Throttling
	var ok bool
	if u.Login, ok = parseLogin(t.Credentials); !ok {
		add("throttlingConfig", 0, "throttleEndpointbase64Header", "must be user:password, or base64 of that")
	}
	switch {
	case c.Binary.Enable && len(c.BinaryGroups) == 0:
		add("throttlingConfig.binary", 0, "enabled", "is true, but there is no [[throttlingConfig.binary.URLGroup]] with traffic managers")
	case c.Binary.Enable:
		if c.Binary.User != "" {
			u.Login = Login{c.Binary.User, c.Binary.Password}
		}
		for i := range c.BinaryGroups {
			g := &c.BinaryGroups[i]
			u.group("throttlingConfig.binary.URLGroup", i, "receiverURL", split(g.Receivers), split(g.AuthURLs), g.Type, add)
		}
	default:
		u.group("throttlingConfig", 0, "throttleEndpointUrl", []string{t.Endpoint}, nil, LoadBalance, add)
	}
	login := u.Login
	if c.DataRetriever.User != "" {
		login = Login{c.DataRetriever.User, c.DataRetriever.Password}
	}
	u.data("throttlingConfig.dataRetriever", "serverUrl", c.DataRetriever.URL, login, add)
	p := c.plain(Login{t.BrokerUser, t.BrokerPass}, u.Login)
	if t.BrokerURL == "" {
		c.usualBrokers(u, p, add)
		return u
	}
	u.brokers("throttlingConfig", "jmsConnectionProviderUrl", []string{t.BrokerURL}, p, add)
	return u
}

// serveUplink returns what apim.throttling says.
func (c *Config) serveUplink(add adder) *Uplink {
	a := &c.APIM
	u := &Uplink{Denies: a.Denies, Login: or(Login{a.ReceiverUser, a.ReceiverPassword}, Login{a.User, a.Password})}
	if !a.Publish {
		return nil
	}
	for i := range c.URLGroups {
		g := &c.URLGroups[i]
		u.group("apim.throttling.url_group", i, "traffic_manager_urls", g.URLs, g.AuthURLs, g.Type, add)
	}
	if a.Receivers != "" && len(c.URLGroups) > 0 {
		add("apim.throttling", 0, "receiver_url", "and [[apim.throttling.url_group]] are both there; groups can stand in one place only")
	} else {
		u.receivers(a.Receivers, add)
	}
	if len(u.Groups) == 0 && c.Role != All {
		return nil
	}
	h := &c.EventHub
	hub := or(Login{h.User, h.Password}, Login{a.User, a.Password})
	if h.Enable {
		u.data("apim.event_hub", "service_url", h.Service, hub, add)
	} else {
		u.data("apim.event_hub", "service_url", "", hub, add)
	}
	if a.Decisions {
		c.topics(u, add)
	}
	if h.Enable {
		p := c.plain(Login{c.EventHubJMS.User, c.EventHubJMS.Password}, hub)
		p.tls = c.EventHubJMS.TLS
		u.brokers("apim.event_hub", "event_listening_endpoints", h.Endpoints, p, add)
	}
	return u
}

// topics adds the brokers on which traffic managers tell their decisions.
func (c *Config) topics(u *Uplink, add adder) {
	j := &c.APIMJMS
	p := c.plain(Login{j.User, j.Password}, u.Login)
	p.tls = j.TLS
	switch {
	case j.Factory != "" && len(c.APIM.Endpoints) > 0:
		add("apim.throttling.jms", 0, "topic_connection_factory", "and throttle_decision_endpoints are both there; brokers can stand in one place only")
	case j.Factory != "":
		u.brokers("apim.throttling.jms", "topic_connection_factory", []string{j.Factory}, p, add)
	case len(c.APIM.Endpoints) > 0:
		u.brokers("apim.throttling", "throttle_decision_endpoints", c.APIM.Endpoints, p, add)
	case c.Role == All && len(u.Groups) == 0: // decisions are told within the process
	default:
		p.tls = false
		c.usualBrokers(u, p, add)
	}
}

// usualBrokers adds the brokers of the section broker or, where there are none, those
// that Weir's traffic managers have in them.
func (c *Config) usualBrokers(u *Uplink, p plain, add adder) {
	p.login = or(p.login, Login{c.Broker.User, c.Broker.Password})
	if len(c.Broker.URL) > 0 {
		u.brokers("broker", "url", c.Broker.URL, p, add)
		return
	}
	var seen []string
	for _, g := range u.Groups {
		for _, text := range g.URLs {
			parsed, err := url.Parse(text)
			if err != nil || slices.Contains(seen, parsed.Hostname()) {
				continue
			}
			seen = append(seen, parsed.Hostname())
			b, err := p.broker("nats://" + net.JoinHostPort(parsed.Hostname(), natsPort))
			if err == nil { // else the password is at fault, which is said elsewhere
				u.Brokers = append(u.Brokers, b)
			}
		}
	}
}

// natsPort is the port of NATS unless something else is said.
const natsPort = "4222"

// plain returns how addresses of brokers are meant. Those that are written as tcp://
// are of AMQP, unless the broker is said to be NATS.
func (c *Config) plain(login, usual Login) plain {
	p := plain{kind: AMQP, login: login, usual: usual}
	if c.Broker.Type == NATS || c.Broker.Type == EmbeddedNATS {
		p.kind = NATS
	}
	return p
}

// brokers adds brokers that stand in a file, each once.
func (u *Uplink) brokers(section, key string, texts []string, p plain, add adder) {
	for _, text := range texts {
		b, err := p.broker(text)
		if err != nil {
			add(section, 0, key, "%v", err)
			continue
		}
		if !slices.ContainsFunc(u.Brokers, func(o broker.URL) bool { return o.String() == b.String() }) {
			u.Brokers = append(u.Brokers, b)
		}
	}
}

// data adds where deny policies and key templates are asked for: at a URL or, if it is
// empty, at the traffic managers.
func (u *Uplink) data(section, key, text string, login Login, add adder) {
	if text != "" {
		full, err := serviceURL(text)
		if err != nil {
			add(section, 0, key, "%v", err)
			return
		}
		u.Data = []DataSource{{full, login}}
		return
	}
	for _, g := range u.Groups {
		for _, text := range g.URLs {
			if d := (DataSource{dataURL(text), u.Login}); !slices.Contains(u.Data, d) {
				u.Data = append(u.Data, d)
			}
		}
	}
}

// group adds a group of traffic managers.
func (u *Uplink) group(section string, index int, key string, urls, auth []string, kind string, add adder) {
	g := Group{FailOver: kind == FailOver}
	for _, text := range urls {
		full, err := eventsURL(text)
		if err != nil {
			add(section, index, key, "%v", err)
			return
		}
		if slices.Contains(g.URLs, full) {
			add(section, index, key, "has %s twice", full)
			return
		}
		g.URLs = append(g.URLs, full)
	}
	switch {
	case len(g.URLs) == 0:
		add(section, index, key, "is missing: a group has one traffic manager at least")
		return
	case len(auth) > 0 && len(auth) != len(urls):
		add(section, index, key, "has %d URLs, and for logging in there are %d: as many, or none", len(urls), len(auth))
		return
	}
	u.Groups = append(u.Groups, g)
}

// receivers adds the groups of a text like {tcp://a:9611,tcp://b:9611},{tcp://c:9611|tcp://d:9611}.
func (u *Uplink) receivers(text string, add adder) {
	for group := range strings.SplitSeq(strings.Trim(strings.TrimSpace(text), "{}"), "},{") {
		kind, urls := LoadBalance, split([]string{group})
		if strings.Contains(group, "|") {
			kind, urls = FailOver, strings.Split(group, "|")
		}
		if len(urls) > 0 {
			u.group("apim.throttling", 0, "receiver_url", urls, nil, kind, add)
		}
	}
}

// split returns texts with those that have several, with commas between, taken apart.
func split(texts []string) []string {
	var all []string
	for _, t := range texts {
		for one := range strings.SplitSeq(t, ",") {
			if one = strings.TrimSpace(one); one != "" {
				all = append(all, one)
			}
		}
	}
	return all
}

// or returns l or, if it has no user, other.
func or(l, other Login) Login {
	if l.User == "" {
		return other
	}
	return l
}

// parseLogin returns the login of user:password, or of base64 of that.
func parseLogin(s Secret) (Login, bool) {
	text := string(s)
	if !strings.Contains(text, ":") {
		decoded, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return Login{}, false
		}
		text = string(decoded)
	}
	user, password, ok := strings.Cut(text, ":")
	return Login{user, Secret(password)}, ok && user != ""
}
