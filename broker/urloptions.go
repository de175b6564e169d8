package broker

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxDelay bounds the times that a URL may set.
const maxDelay = 10 * time.Minute

// options are those of a URL in JMS's form.
type options struct {
	brokers []Broker // nil: there is no brokerlist
	tls     bool
}

// parseOptions reads what stands behind the ? of a URL.
func parseOptions(text string, tls bool) (options, error) {
	o := options{tls: tls}
	// Files have the & as %26 or &amp;.
	text, err := url.PathUnescape(text)
	if err != nil {
		return o, errors.New("in the options stands a % that begins no %XX; write it as %25")
	}
	text = strings.ReplaceAll(text, "&amp;", "&")
	brokers, single := "", false
	err = eachOption(text, func(name, value string) (err error) {
		switch name {
		case "brokerlist":
			if brokers = value; value == "" {
				err = errors.New("it is empty; it is 'tcp://host:port;tcp://host:port'")
			}
		case "ssl":
			var on bool
			on, err = parseFlag(value)
			o.tls = o.tls || on
		case "failover":
			single, err = parseFailover(value)
		case "cyclecount":
			// A gateway never gives up, so it has no use for how often to try.
			_, err = parseCount(value)
		default:
			return errors.New("it is not known; known are brokerlist, failover, cyclecount and ssl")
		}
		return err
	})
	if err != nil || brokers == "" {
		return o, err
	}
	o.brokers, err = parseBrokers(brokers, o.tls)
	if err == nil && single {
		o.brokers = o.brokers[:1]
	}
	return o, err
}

// parseFailover reads the way of failing over, and returns whether the first broker
// alone is to be used.
func parseFailover(value string) (single bool, err error) {
	method, text, _ := strings.Cut(value, "?")
	if err := eachOption(text, func(name, value string) error {
		if name != "cyclecount" {
			return errors.New("it is not known; cyclecount is")
		}
		_, err := parseCount(value)
		return err
	}); err != nil {
		return false, err
	}
	switch method {
	case "roundrobin":
		return false, nil
	case "singlebroker", "nofailover":
		return true, nil
	}
	return false, errors.New("it is 'roundrobin', 'singlebroker' or 'nofailover'")
}

// parseBrokers reads a list of brokers.
func parseBrokers(text string, tls bool) ([]Broker, error) {
	var all []Broker
	for text != "" {
		end := len(text)
		if i := indexOutside(text, ';'); i >= 0 {
			end = i
		}
		b, err := parseBroker(text[:end], tls)
		if err != nil {
			return nil, fmt.Errorf("broker %d of the brokerlist: %w", len(all)+1, err)
		}
		if all = append(all, b); len(all) > maxBrokers {
			return nil, fmt.Errorf("more than %d brokers in the brokerlist", maxBrokers)
		}
		text = text[min(end+1, len(text)):] // a ; at the end does no harm
	}
	return all, nil
}

func parseBroker(text string, tls bool) (Broker, error) {
	b := Broker{TLS: tls}
	address, text, _ := strings.Cut(text, "?")
	err := eachOption(text, func(name, value string) (err error) {
		switch name {
		case "retries":
			b.Retries, err = parseCount(value)
		case "connectdelay":
			b.ConnectDelay, err = parseMillis(value)
		case "connecttimeout":
			b.ConnectTimeout, err = parseMillis(value)
		case "ssl":
			b.TLS, err = parseFlag(value)
		default:
			err = errors.New("it is not known; known are retries, connectdelay, connecttimeout and ssl")
		}
		return err
	})
	if err != nil {
		return b, err
	}
	if scheme, after, ok := strings.Cut(address, "://"); ok {
		if scheme != "tcp" {
			return b, errors.New("it begins with tcp://; what is encrypted has the option ssl='true'")
		}
		address = after
	}
	return b, b.setAddress(strings.TrimSuffix(address, "/"), b.port())
}

// eachOption calls f with each option of name='value'&name='value'. In a value may
// be options again, so a quote behind a = opens and any other closes.
func eachOption(text string, f func(name, value string) error) error {
	seen := make(map[string]bool)
	for text != "" {
		name, rest, ok := strings.Cut(text, "=")
		if !ok || !isOptionName(name) {
			return fmt.Errorf("option %d: an option is name='value', and & separates it from the next", len(seen)+1)
		}
		end := -1
		if strings.HasPrefix(rest, "'") {
			end = closing(rest)
		}
		if end < 0 {
			return fmt.Errorf("option %s: its value stands in single quotes: %s='value'", name, name)
		}
		if seen[name] {
			return fmt.Errorf("option %s: it stands twice", name)
		}
		seen[name] = true
		if err := f(name, rest[1:end]); err != nil {
			return fmt.Errorf("option %s: %w", name, err)
		}
		text = rest[end+1:]
		if text, ok = strings.CutPrefix(text, "&"); !ok && text != "" {
			return fmt.Errorf("option %s: behind its closing quote stands more than an &", name)
		}
	}
	return nil
}

func isOptionName(s string) bool {
	for _, c := range []byte(s) {
		if !isName(c) {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// closing returns where the quote with which text begins is closed, or -1.
func closing(text string) int {
	open := 1
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != '\'':
		case text[i-1] == '=':
			open++
		default:
			if open--; open == 0 {
				return i
			}
		}
	}
	return -1
}

// indexOutside returns the first place of c that is in no quotes, or -1.
func indexOutside(text string, c byte) int {
	open := 0
	for i := range len(text) {
		switch {
		case text[i] == c && open == 0:
			return i
		case text[i] != '\'':
		case i > 0 && text[i-1] == '=':
			open++
		default:
			open--
		}
	}
	return -1
}

func parseCount(value string) (int, error) {
	n, err := strconv.ParseUint(value, 10, 16)
	if err != nil || n > 1000 {
		return 0, errors.New("it is a number from 0 to 1000")
	}
	return int(n), nil
}

func parseMillis(value string) (time.Duration, error) {
	n, err := strconv.ParseUint(value, 10, 32)
	d := time.Duration(n) * time.Millisecond
	if err != nil || d > maxDelay {
		return 0, fmt.Errorf("it is a number of milliseconds from 0 to %d", maxDelay.Milliseconds())
	}
	return d, nil
}

func parseFlag(value string) (bool, error) {
	switch value {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("it is 'true' or 'false'")
}
