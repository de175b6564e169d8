package http2

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/weir-project/weir/gateway"
)

const grpcType = "application/grpc"

// isGRPC reports whether a content type is gRPC's: not gRPC-Web's, which is plain
// HTTP to a proxy.
func isGRPC(contentType string) bool {
	if len(contentType) < len(grpcType) || !strings.EqualFold(contentType[:len(grpcType)], grpcType) {
		return false
	}
	return len(contentType) == len(grpcType) || contentType[len(grpcType)] == '+' || contentType[len(grpcType)] == ';'
}

// The status codes of gRPC that the gateway gives.
const (
	grpcUnknown           = 2
	grpcDeadlineExceeded  = 4
	grpcPermissionDenied  = 7
	grpcResourceExhausted = 8
	grpcUnimplemented     = 12
	grpcInternal          = 13
	grpcUnavailable       = 14
	grpcUnauthenticated   = 16
)

// grpcStatus returns what an HTTP status is in gRPC.
func grpcStatus(status int) int {
	switch status {
	case 400, 417, 421, 500:
		return grpcInternal
	case 401:
		return grpcUnauthenticated
	case 403:
		return grpcPermissionDenied
	case 404, 405, 501, 505:
		return grpcUnimplemented
	case 408, 504:
		return grpcDeadlineExceeded
	case 413, 414, 429, 431:
		return grpcResourceExhausted
	case 502, 503:
		return grpcUnavailable
	}
	return grpcUnknown
}

// answerGRPC sends a in the one way in which a gRPC client understands a refusal:
// a head without a body that holds the status (a "trailers-only" answer).
func answerGRPC(w http.ResponseWriter, a *gateway.Answer) {
	h := w.Header()
	addFields(h, a.Fields)
	h["Content-Type"] = []string{grpcType}
	h["Content-Length"] = nil // net/http would add one
	h["Grpc-Status"] = []string{strconv.Itoa(grpcStatus(a.Status))}
	h["Grpc-Message"] = []string{encodeMessage(description(a))}
	w.WriteHeader(http.StatusOK)
}

// description returns the sentence in an answer's body that says why.
func description(a *gateway.Answer) string {
	from, to := []byte(`"description":"`), []byte(`"`)
	if strings.Contains(a.ContentType, "xml") {
		from, to = []byte("<amt:description>"), []byte("</amt:description>")
	}
	if _, rest, ok := bytes.Cut(a.Body, from); ok {
		if text, _, ok := bytes.Cut(rest, to); ok && len(text) > 0 {
			return string(text)
		}
	}
	return http.StatusText(a.Status)
}

// encodeMessage returns text as it may stand in grpc-message: printable ASCII,
// the rest and the percent sign itself percent-encoded.
func encodeMessage(text string) string {
	plain := true
	for i := range len(text) {
		plain = plain && printable(text[i])
	}
	if plain {
		return text
	}
	const hex = "0123456789ABCDEF"
	b := make([]byte, 0, len(text)+16)
	for i := range len(text) {
		if c := text[i]; printable(c) {
			b = append(b, c)
		} else {
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

func printable(c byte) bool { return ' ' <= c && c <= '~' && c != '%' }
