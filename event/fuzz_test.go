package event_test

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/weir-project/weir"
	"github.com/weir-project/weir/event"
)

// A batch that we take is one that generated code reads, and reads the same of it.
func FuzzDecode(f *testing.F) {
	f.Add(batch(&header, sample()))
	f.Add(batch(&header, bodyOf(good(), good().bytes(22, "\x01").varint(22, 2))))
	f.Add(append([]byte(string(sample())), event.AppendHeader(nil, &header)...))
	f.Add([]byte(raw(batch(&header)).bytes(2, string(raw{}.bytes(2, "\x33\x34")))))
	refusing := header
	refusing.Refused = refusedCalls()
	f.Add(batch(&refusing, sample()))
	sharing := header
	sharing.Sharing = someSharing()
	f.Add(batch(&sharing, sample()))
	f.Fuzz(func(t *testing.T, p []byte) {
		var d event.Decoder
		var h event.Header
		var got []told
		next := 0
		refused, err := d.Decode(p, &h, func(i int, e *weir.Event) error {
			if i < next {
				t.Errorf("event %d after %d", i, next-1)
			}
			next = i + 1
			if e.Request.Context == "" || e.Request.Time.Unix() < 0 || !utf8.ValidString(e.Request.User) {
				t.Errorf("event %d is taken: %+v", i, e)
			}
			got = append(got, tell(&everything, e))
			return nil
		})
		if err != nil {
			if len(got)+len(refused) > 0 {
				t.Errorf("%v, and %d events", err, len(got))
			}
			return
		}
		if h.Incarnation == 0 || len(refused) > event.MaxEvents {
			t.Errorf("header %+v, %d refused", h, len(refused))
		}
		if len(refused) > 0 {
			return // generated code may read no more than the events before
		}
		wantHeader, want, err := readBatch(t, p)
		if err != nil {
			t.Fatalf("generated code does not read what we do: %v", err)
		}
		if !reflect.DeepEqual(h, wantHeader) || !reflect.DeepEqual(got, want) {
			t.Errorf("we read\n%+v %+v, generated code\n%+v %+v", h, got, wantHeader, want)
		}
	})
}

// Whatever a call has, what is told of it can be decoded, and is what it has.
func FuzzRequest(f *testing.F) {
	f.Add("/pizza/1", "1", "/menu/{id}", "GET", "älice", "5", "shop", "tok", "gold", []byte{10, 0, 0, 1}, int64(1), true)
	f.Add("/", "\xff", "", "", "anonymous", "::1", "", "", "\xfe\xff", make([]byte, 16), int64(-1<<53), false)
	var e event.Encoder
	var d event.Decoder
	f.Fuzz(func(t *testing.T, context, version, resource, verb, user, id, name, token, value string, ip []byte, n int64, token2 bool) {
		r := weir.Request{
			Time: admitted, Context: "/" + context, Version: version, Resource: resource, Verb: verb, User: user,
			Application: weir.Application{ID: id, Name: name}, Token: token,
			Headers: bag{"x-plan": value}, Query: bag{"q": value, "v": user}, Claims: bag{"plan": version},
		}
		r.ClientIP, _ = netip.AddrFromSlice(ip)
		fields := everything
		fields.ClientIP, fields.Token = token2, token2
		spent := weir.Spent{Requests: n % (1 << 53), Bytes: 1}
		e.Reset()
		kept := event.AppendRequest(nil, &fields, &r)
		e.Spend(e.Request(&fields, &r), spent)
		e.Spend(e.RequestOf(kept, admitted), spent)
		_, got, refused := decode(t, &d, batch(&header, e.Body()))
		if len(refused) > 0 || len(got) != 2 || !reflect.DeepEqual(got[0], got[1]) {
			t.Fatalf("got %+v, refused %v", got, refused)
		}
		var back weir.Request
		if err := event.ParseRequest(kept, &back); err != nil {
			t.Fatal(err)
		}
		if all := strings.Join([]string{context, version, resource, verb, user, id, name, token}, " "); !utf8.ValidString(all) || len(all+value) > event.MaxText {
			return
		}
		want := expected(&fields, r)
		anonymous := user == "anonymous" && name == ""
		if !token2 {
			want.Request.Token = ""
			if !anonymous {
				want.Request.ClientIP = netip.Addr{}
			}
		}
		want.Spent = spent
		if !reflect.DeepEqual(got[0], want) {
			t.Errorf("got %+v, want %+v", got[0], want)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	for _, r := range []weir.Request{call(), anonymousCall("::1"), {}} {
		f.Add(event.AppendRequest(nil, &everything, &r))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var e event.Encoder
		var r weir.Request
		err := event.ParseRequest(p, &r)
		if i := e.RequestOf(p, admitted); (i == 0) != (err == nil) || e.Len() != i+1 {
			t.Errorf("index %d, %v", i, err)
		}
		if err != nil {
			return
		}
		// What it has it can tell again.
		var again weir.Request
		q := event.AppendRequest(nil, &everything, &r)
		if err := event.ParseRequest(q, &again); err != nil {
			t.Error(err)
		}
	})
}
