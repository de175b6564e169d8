package project

import (
	"math"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/gateway"
	"github.com/weir-project/weir/limiter"
	"github.com/weir-project/weir/policy"
)

// A level is where in an OpenAPI document an extension stands.
type level uint8

const (
	levelAPI level = 1 << iota
	levelPath
	levelOperation

	everyLevel = levelAPI | levelPath | levelOperation
)

// extensionLevels are the extensions that are served, and where they may stand.
var extensionLevels = map[string]level{
	"x-wso2-basePath":             levelAPI,
	"x-wso2-endpoints":            levelAPI,
	"x-wso2-cors":                 levelAPI,
	"x-wso2-auth-header":          levelAPI,
	"x-wso2-owner":                levelAPI,
	"x-wso2-transports":           levelAPI,
	"x-weir-max-throughput":       levelAPI,
	"x-wso2-production-endpoints": everyLevel,
	"x-wso2-sandbox-endpoints":    everyLevel,
	"x-wso2-throttling-tier":      everyLevel,
	"x-throttling-tier":           everyLevel,
	"x-wso2-disable-security":     everyLevel,
	"x-weir-weight":               levelPath | levelOperation,
}

// unsupported are extensions that others know, and what follows from their not
// being served.
var unsupported = map[string]string{
	"x-wso2-mutual-ssl":            "clients are not asked for certificates",
	"x-wso2-application-security":  "credentials are API keys and tokens",
	"x-wso2-response-cache":        "answers are not kept",
	"x-wso2-request-interceptor":   "requests are not changed",
	"x-wso2-response-interceptor":  "answers are not changed",
	"x-wso2-request-interceptors":  "requests are not changed",
	"x-wso2-response-interceptors": "answers are not changed",
	"x-wso2-label":                 "labels mean nothing here",
	"x-wso2-labels":                "labels mean nothing here",
	"x-throttling-bandwidth":       "give the policy a dataAmount instead",
}

// extensions are what the extensions at one level say.
type extensions struct {
	tier                string
	disableSecurity     bool
	saysSecurity        bool
	production, sandbox *gateway.Endpoints
	weight              int64
	authHeader          string
	cors                *gateway.CORS
	throughput          *policy.Backend
}

// inherit takes what the path says where the operation says nothing.
func (e *extensions) inherit(from extensions) {
	if e.tier == "" {
		e.tier = from.tier
	}
	if !e.saysSecurity {
		e.disableSecurity, e.saysSecurity = from.disableSecurity, from.saysSecurity
	}
	if e.production == nil {
		e.production = from.production
	}
	if e.sandbox == nil {
		e.sandbox = from.sandbox
	}
	if e.weight == 0 {
		e.weight = from.weight
	}
}

// extensions reads the extensions of v.
func (d *openAPI) extensions(v value, at level) (e extensions) {
	pairs, _ := v.pairs()
	for _, p := range pairs {
		if !strings.HasPrefix(p.name, "x-") {
			continue
		}
		if !d.known(p, at) {
			continue
		}
		if p.value.isNull() {
			p.key.fault("%s has no value", p.name)
			continue
		}
		d.extension(&e, p, at)
	}
	return e
}

// known reports whether an extension is served at a level; if not, it says so
// where somebody might think that it is.
func (d *openAPI) known(p pair, at level) bool {
	levels, ok := extensionLevels[p.name]
	ours := strings.HasPrefix(p.name, "x-weir-")
	switch {
	case ok && levels&at != 0:
		return true
	case ok && ours:
		p.key.fault("%s does not belong here, but %s", p.name, where(levels))
	case ok:
		p.key.warn("%s has no effect here: it belongs %s", p.name, where(levels))
	case unsupported[p.name] != "":
		p.key.warn("%s has no effect: %s", p.name, unsupported[p.name])
	case ours:
		p.key.fault("unknown extension %s%s", p.name, didYouMean(p.name, extensionNames("x-weir-")))
	case strings.HasPrefix(p.name, "x-wso2-"):
		if n := nearest(p.name, extensionNames("x-wso2-")); n != "" && distance(n, p.name) <= 2 {
			p.key.fault("unknown extension %s; did you mean %s?", p.name, n)
		} else {
			p.key.warn("%s has no effect: it is not known", p.name)
		}
	}
	return false
}

func extensionNames(prefix string) (names []string) {
	for name := range extensionLevels {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func where(l level) string {
	switch {
	case l&levelAPI != 0:
		return "at the top of the file"
	case l&levelPath != 0:
		return "in a path or an operation"
	}
	return "in an operation"
}

// extension reads one extension that is known.
func (d *openAPI) extension(e *extensions, p pair, at level) {
	switch p.name {
	case "x-wso2-throttling-tier", "x-throttling-tier":
		d.readTier(e, p, at)
	case "x-wso2-disable-security":
		e.disableSecurity, e.saysSecurity = p.value.boolean()
	case "x-wso2-production-endpoints":
		e.production = d.readEndpoints(p.value)
	case "x-wso2-sandbox-endpoints":
		e.sandbox = d.readEndpoints(p.value)
	case "x-weir-weight":
		e.weight, _ = p.value.integer(1, 1_000_000)
	case "x-wso2-auth-header":
		e.authHeader = readHeaderName(p.value)
	case "x-wso2-cors":
		e.cors = readCORS(p.value)
	case "x-weir-max-throughput":
		e.throughput = readThroughput(p.value)
	case "x-wso2-owner":
		_, _ = p.value.nonEmpty() // nothing here belongs to an API's owner
	case "x-wso2-transports":
		if !slices.Contains(p.value.texts(), "http") {
			p.value.warn("x-wso2-transports has no effect: the API is served on every listener, so leave HTTP off in micro-gw.conf")
		}
	}
}

func (d *openAPI) readTier(e *extensions, p pair, at level) {
	name, ok := p.value.nonEmpty()
	switch {
	case !ok:
		return
	case e.tier != "" && e.tier != name:
		p.key.fault("names the tier %s, another extension here %s", quoted(name), quoted(e.tier))
		return
	case at != levelAPI && d.tier:
		p.key.warn("the tier %s does not hold: the API's own tier %s does", quoted(name), quoted(d.out.api.Tier))
	}
	e.tier = name
	d.out.tiers = append(d.out.tiers, tierUse{p.value, policy.Advanced, name})
}

// texts returns a list of texts, which may be written as one text with commas.
func (v value) texts() (out []string) {
	if v.node.Kind == yaml.ScalarNode {
		s, _ := v.text()
		for part := range strings.SplitSeq(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
		return out
	}
	for _, item := range v.list() {
		if s, ok := item.nonEmpty(); ok {
			out = append(out, strings.TrimSpace(s))
		}
	}
	return out
}

// readHeaderName returns the name of a header field.
func readHeaderName(v value) string {
	name, ok := v.nonEmpty()
	if ok && strings.ContainsFunc(name, isNoToken) {
		v.fault("%s must be the name of a header, not %s", v.name(), quoted(name))
		return ""
	}
	return name
}

// isNoToken reports whether r may not stand in the name of a header field.
func isNoToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r)
}

// readCORS returns the CORS settings, nil if they are off.
func readCORS(v value) *gateway.CORS {
	o, ok := v.object("corsConfigurationEnabled", "accessControlAllowOrigins", "accessControlAllowCredentials",
		"accessControlAllowHeaders", "accessControlAllowMethods", "accessControlExposeHeaders", "accessControlMaxAge")
	if !ok || !o.boolean("corsConfigurationEnabled", true) {
		return nil
	}
	list := func(key string) []string {
		if v, ok := o.get(key); ok {
			return v.texts()
		}
		return nil
	}
	c := &gateway.CORS{
		AllowOrigins:     list("accessControlAllowOrigins"),
		AllowMethods:     list("accessControlAllowMethods"),
		AllowHeaders:     list("accessControlAllowHeaders"),
		ExposeHeaders:    list("accessControlExposeHeaders"),
		AllowCredentials: o.boolean("accessControlAllowCredentials", false),
	}
	if age, ok := o.get("accessControlMaxAge"); ok {
		n, _ := age.integer(0, 86400)
		c.MaxAge = time.Duration(n) * time.Second
	}
	for i, m := range c.AllowMethods {
		c.AllowMethods[i] = strings.ToUpper(m)
	}
	if c.AllowCredentials && slices.Contains(c.AllowOrigins, "*") {
		v.fault("accessControlAllowOrigins is \"*\" with credentials: every site could act for its visitors; list the origins")
	}
	return c
}

// readThroughput returns the maximum backend throughput.
func readThroughput(v value) *policy.Backend {
	o, ok := v.object("productionMaxCount", "productionUnitTime", "sandboxMaxCount", "sandboxUnitTime", "accuracy", "onStoreLoss")
	if !ok {
		return nil
	}
	b := &policy.Backend{Production: o.throughput("production"), Sandbox: o.throughput("sandbox")}
	var both limiter.Limit
	o.sharing(&both, "accuracy", "onStoreLoss")
	for _, l := range []*limiter.Limit{b.Production, b.Sandbox} {
		if l != nil {
			l.Accuracy, l.OnStoreLoss = both.Accuracy, both.OnStoreLoss
		}
	}
	delete(o.fields, "accuracy")
	delete(o.fields, "onStoreLoss")
	if len(o.fields) == 0 {
		v.fault("%s is empty: it has a productionMaxCount or a sandboxMaxCount", v.name())
	}
	return b
}

// throughput returns the limit of one type of keys, nil if there is none. Unit
// times are in milliseconds, a second unless said otherwise.
func (o object) throughput(of string) *limiter.Limit {
	unit, hasUnit := o.get(of + "UnitTime")
	count, ok := o.get(of + "MaxCount")
	if !ok {
		if hasUnit {
			unit.fault("%sUnitTime is there without %sMaxCount", of, of)
		}
		return nil
	}
	n, ok := count.integer(1, math.MaxInt32)
	ms := int64(1000)
	if hasUnit {
		var unitOK bool
		ms, unitOK = unit.integer(1, int64(366*24*time.Hour/time.Millisecond))
		ok = ok && unitOK
	}
	if !ok {
		return nil
	}
	return &limiter.Limit{Count: n, Window: limiter.Window{Length: time.Duration(ms) * time.Millisecond}}
}

// tierExists reports whether a set of policies has one of that kind and name.
func tierExists(policies []policy.Policy, kind policy.Kind, name string) bool {
	return name == weir.Unlimited || slices.ContainsFunc(policies, func(p policy.Policy) bool {
		return p.Kind == kind && p.Name == name
	})
}
