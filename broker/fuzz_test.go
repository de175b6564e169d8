package broker_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/broker"
	"github.com/weir-project/weir/limiter"
)

// Nothing that comes over a topic does harm, and nothing that is not signed is
// believed.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, topic := range []string{broker.ThrottleData, broker.Notification, "other"} {
			m, err := broker.Parse(secret, topic, text)
			if err != nil {
				if _, ok := errors.AsType[*broker.Fault](err); !ok {
					t.Errorf("%T: %v", err, err)
				}
				continue
			}
			// It was signed: then saying it again is saying the same.
			again, err := broker.Parse(secret, topic, write(secret, m))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := write(secret, again), write(secret, m); string(got) != string(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

// A decision that can be told is heard as it was told, and by nobody else.
func FuzzDecision(f *testing.F) {
	f.Add(uint64(1), "5:/pizza/1:1:Gold", uint8(3), "Gold", -1, true, int64(0), int64(60_000), "tm", uint64(1), int64(1), "")
	f.Add(uint64(0), "\xff\u2028\"<", uint8(2), "\\", 3, false, int64(-1), int64(math.MaxInt64), "", uint64(math.MaxUint64), int64(-5), "e30=")
	other := broker.NewSecret([]byte("another"))
	f.Fuzz(func(t *testing.T, key uint64, text string, level uint8, policy string, group int, throttled bool, begins, ends int64, issuer string, seq uint64, issued int64, conditions string) {
		d := weir.Decision{
			Key: limiter.Key(key), Text: text, Level: weir.Level(level), Policy: policy, Group: group, Throttled: throttled,
			Ends: time.UnixMilli(ends), Issuer: issuer, Seq: seq, Issued: time.UnixMilli(issued), Conditions: conditions,
		}
		if begins >= 0 {
			d.Begins = time.UnixMilli(begins).UTC()
		}
		message := broker.AppendDecision(nil, secret, &d)
		got, err := broker.ParseDecision(secret, message)
		if err != nil {
			if fault, ok := errors.AsType[*broker.Fault](err); !ok || fault.Kind != broker.Malformed {
				t.Fatalf("%s: %v", message, err)
			}
			return // it can't be told
		}
		want := d
		for _, s := range []*string{&want.Text, &want.Policy, &want.Issuer, &want.Conditions} {
			*s = strings.ToValidUTF8(*s, "\uFFFD")
		}
		want.Ends, want.Issued = want.Ends.UTC(), want.Issued.UTC()
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if _, err := broker.ParseDecision(other, message); err == nil {
			t.Error("believed by those with another secret")
		}
	})
}

// A URL is read or refused; what it holds can be used, and no text shows its
// password.
func FuzzURL(f *testing.F) {
	const password = "s3cr3t"
	for _, s := range []string{
		"amqp://admin:PASS@carbon/carbon?brokerlist='tcp://localhost:5672'",
		"amqp://admin:PASS@client/vhost?brokerlist='tcp://a:5672?retries='5'&connectdelay='50';tcp://b:5672'",
		"amqp://admin:PASS@c/v?failover='roundrobin?cyclecount='2''%26brokerlist='tcp://a?ssl='true''&amp;ssl='true'",
		"amqps://admin:PASS@host:5671/%2f", "amqp://admin:x%PASS@host:5672", "nats://admin:PASS@a:4222,tls://[::1]", "tls://admin:PASS@a",
		"admin:PASS@host", "amqp://admin:PASS/@host", "amqp://admin:PASS?@host:x", "nats://a,u:PASS@b", "PASS://@",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = strings.ReplaceAll(s, "PASS", password)
		u, err := broker.ParseURL(s)
		// What stands before the last @ is user and password, even if misplaced.
		secret := strings.Contains(s[:strings.LastIndexByte(s, '@')+1], password) && strings.Count(s, password) == 1 && !strings.Contains(u.User, password)
		if err != nil {
			if secret && strings.Contains(err.Error(), password) {
				t.Errorf("%q: the error shows the password: %v", s, err)
			}
			return
		}
		if secret && strings.Contains(u.String(), password) {
			t.Errorf("%q: the text shows the password: %v", s, u)
		}
		if len(u.Brokers) == 0 || u.Scheme == broker.AMQP && u.VHost == "" {
			t.Errorf("%q: %#v", s, u.Brokers)
		}
		for _, b := range u.Brokers {
			if b.Address == "" || b.Retries < 0 || b.ConnectDelay < 0 || b.ConnectTimeout < 0 {
				t.Errorf("%q: %+v", s, b)
			}
		}
	})
}
