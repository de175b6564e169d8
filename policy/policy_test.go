package policy

import (
	"errors"
	"strings"
	"testing"
)

func TestKindString(t *testing.T) {
	for k, want := range map[Kind]string{
		Advanced: "advanced", Subscription: "subscription", Application: "application", 3: "unknown",
	} {
		if got := k.String(); got != want {
			t.Errorf("kind %d is %q, want %q", k, got, want)
		}
	}
}

func TestFaultError(t *testing.T) {
	cause := errors.New("is wrong")
	for _, tt := range []struct {
		f    Fault
		want string
	}{
		{Fault{Subject: `rule "a"`, Group: -1, Condition: -1, Err: cause}, `rule "a": is wrong`},
		{Fault{Subject: `rule "a"`, Group: -1, Condition: -1, Field: "key", Err: cause}, `rule "a": key: is wrong`},
		{Fault{Subject: `policy "a"`, Group: 2, Condition: -1, Field: "limit", Err: cause}, `policy "a": groups[2]: limit: is wrong`},
		{Fault{Subject: `policy "a"`, Group: 2, Condition: 0, Err: cause}, `policy "a": groups[2].conditions[0]: is wrong`},
	} {
		if got := tt.f.Error(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
		if !errors.Is(Faults{&tt.f}, cause) {
			t.Errorf("%s: the cause is lost", tt.want)
		}
	}
}

// A message stays short, however long the name that it is about.
func TestFaultsAreShort(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	_, err := Compile(Definition{
		Policies: []Policy{{Name: long, Groups: []Group{{Conditions: []Condition{header("a", long)}}}}},
		Rules:    []CustomRule{{Name: long, Key: long, Limit: *perMinute(1)}},
		Denies:   []Deny{{ID: long, Kind: DenyAPI, Value: long}, {ID: "b", Kind: DenyApplication, Value: long}},
		Backends: []Backend{{Context: long, Version: long}},
	}, Options{})
	faults, ok := errors.AsType[Faults](err)
	if !ok || len(faults) < 6 {
		t.Fatalf("%d faults, want at least 6", len(faults))
	}
	for _, f := range faults {
		if n := len(f.Error()); n > 500 {
			t.Errorf("a fault of %d bytes: %.100s", n, f)
		}
	}
}
