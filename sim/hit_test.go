package sim

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// home is the address of clients that a script gives no other.
var home = netip.MustParseAddr("198.51.100.1")

// parseHit reads: WHO METHOD TARGET [xN] allow|deny|answered [CODE] [name=value ...].
func parseHit(words []string) (*hit, error) {
	if len(words) < 4 {
		return nil, fmt.Errorf("want WHO METHOD TARGET [xN] allow|deny|answered")
	}
	h := &hit{method: words[1], target: words[2], times: 1, count: 1, peer: home}
	h.want.left = -1
	if err := h.caller.parse(words[0]); err != nil {
		return nil, err
	}
	words = words[3:]
	var err error
	if n, ok := strings.CutPrefix(words[0], "x"); ok {
		if h.count, err = parseTimes(n); err != nil {
			return nil, err
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("want allow, deny or answered")
	}
	switch o := outcome(words[0]); o {
	case allowed, denied, answered:
		h.want.outcome = o
	default:
		return nil, fmt.Errorf("%q is not allow, deny or answered", words[0])
	}
	for _, w := range words[1:] {
		if err := h.option(w); err != nil {
			return nil, fmt.Errorf("%s: %w", w, err)
		}
	}
	return h, nil
}

func (h *hit) parseEvery(every, times string) (err error) {
	if h.every, err = time.ParseDuration(every); err != nil {
		return err
	}
	n, ok := strings.CutPrefix(times, "x")
	if !ok {
		return fmt.Errorf("%q is not xN", times)
	}
	h.times, err = parseTimes(n)
	return err
}

// parse reads -, APP, APP/sandbox, APP:USER or APP/sandbox:USER#N.
func (c *caller) parse(who string) (err error) {
	if who == "-" {
		return nil
	}
	app, user, byToken := strings.Cut(who, ":")
	c.application, c.sandbox = strings.CutSuffix(app, "/sandbox")
	if c.application == "" || (byToken && user == "") {
		return fmt.Errorf("%q is no caller", who)
	}
	user, n, numbered := strings.Cut(user, "#")
	if c.user = user; numbered {
		if c.token, err = strconv.Atoi(n); err != nil {
			return fmt.Errorf("%q is no caller: %w", who, err)
		}
	}
	return nil
}

// option reads one word behind the outcome.
func (h *hit) option(w string) (err error) {
	name, value, ok := strings.Cut(w, "=")
	if !ok {
		if len(w) < 3 || strings.Trim(w, "0123456789") != "" {
			return fmt.Errorf("is neither a code nor an option")
		}
		h.want.code = w
		return nil
	}
	switch name {
	case "body":
		h.body, err = strconv.ParseInt(value, 10, 64)
		h.sent = h.body
	case "chunked":
		h.sent, err = strconv.ParseInt(value, 10, 64)
		h.body = -1
	case "answer":
		h.answer, err = strconv.ParseInt(value, 10, 64)
	case "took":
		h.took, err = time.ParseDuration(value)
	case "reached":
		if h.unreached = value == "no"; !h.unreached {
			err = fmt.Errorf("only reached=no can be said")
		}
	case "ip":
		h.peer, err = netip.ParseAddr(value)
	case "expires":
		h.expires, err = time.ParseDuration(value)
	case "header":
		h.headers, err = appendPair(h.headers, value)
	case "claim":
		if h.user == "" {
			return fmt.Errorf("only a token has claims: write APP:USER")
		}
		h.claims, err = appendPair(h.claims, value)
	default:
		return h.want.option(name, value)
	}
	return err
}

// option reads what is expected beyond the code.
func (v *verdict) option(name, value string) (err error) {
	switch name {
	case "status":
		v.status, err = strconv.Atoi(value)
	case "retry":
		v.retry, err = strconv.ParseInt(value, 10, 64)
	case "left":
		v.left, err = strconv.ParseInt(value, 10, 64)
	case "level":
		v.level = value
	case "policy":
		v.policy = value
	case "to":
		v.to = value
	case "path":
		v.path = value
	default:
		err = fmt.Errorf("unknown option")
	}
	return err
}

func appendPair(to [][2]string, s string) ([][2]string, error) {
	k, v, ok := strings.Cut(s, ":")
	if !ok || k == "" {
		return nil, fmt.Errorf("want name:value")
	}
	return append(to, [2]string{k, v}), nil
}
