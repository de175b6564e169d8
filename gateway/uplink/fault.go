package uplink

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A kind says what a failed call means for the calls to come.
type kind uint8

const (
	unreachable kind = iota // no connection: certainly nothing was counted
	unanswered              // sent, at least in part: nobody knows what was counted
	unwell                  // answered, but not as a traffic manager in good health does
	refusing                // will not be otherwise until somebody changes something
	tooLarge                // fewer events may be taken
	malformed               // these events will never be taken
)

// String returns the kind as it stands in logs and statistics.
func (k kind) String() string {
	return [...]string{"unreachable", "unanswered", "unwell", "refusing", "too large", "malformed"}[k]
}

// A fault is why a call failed.
type fault struct {
	kind  kind
	after time.Duration // how long the manager wants to be left alone
	tried bool          // it was sent before, over a connection that turned out to be dead
	err   error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// certain reports whether it is known that nothing was counted.
func (f *fault) certain() bool { return !f.tried && f.kind != unanswered && f.kind != unwell }

// statusFault returns what an answer with another status than 200 means. hint is
// the beginning of its body.
func statusFault(resp *http.Response, hint []byte) *fault {
	f := &fault{kind: refusing}
	advice := ""
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		advice = ": the credentials are wrong, or may not send events"
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed, code == http.StatusUnsupportedMediaType:
		advice = ": what answers is no traffic manager that takes batches; check the URL (WSO2's take no batches)"
	case code >= 300 && code < 400:
		advice = ": redirections are not followed; write the URL that it leads to"
	case code == http.StatusRequestEntityTooLarge:
		f.kind = tooLarge
	case code == http.StatusBadRequest, code == http.StatusUnprocessableEntity:
		f.kind = malformed
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests,
		code >= 500, code < 300:
		f.kind = unwell
		f.after = retryAfter(resp.Header.Get("Retry-After"))
	}
	f.err = fmt.Errorf("answer is %d %s%s%s", resp.StatusCode, http.StatusText(resp.StatusCode), advice, said(hint))
	return f
}

// retryAfter returns the seconds that an answer asks for, at most ten.
func retryAfter(text string) time.Duration {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(min(n, 10)) * time.Second
}

// said returns the first line of what an answer says, if it is for people.
func said(hint []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(hint)), "\n")
	line = strings.TrimSpace(line[:min(len(line), 120)])
	for i := range len(line) {
		if line[i] < ' ' || line[i] > '~' {
			return ""
		}
	}
	if line == "" || line[0] == '<' {
		return ""
	}
	return fmt.Sprintf(" (%s)", line)
}
