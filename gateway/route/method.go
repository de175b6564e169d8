package route

import "strings"

// A Method is one of the request methods that the gateway forwards.
type Method uint8

// The methods.
const (
	GET Method = iota
	HEAD
	POST
	PUT
	PATCH
	DELETE
	OPTIONS
	methodCount int = iota
)

var methodNames = [methodCount]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// ParseMethod returns the method that text names, in capitals and nothing else.
// The caller answers 501 if it reports false: the gateway implements no other
// method. That holds for "get", which some servers take for GET and others do
// not; for TRACE, which would show a client what the gateway added to its
// request; and for CONNECT, which asks for a tunnel past every limit.
func ParseMethod(text string) (Method, bool) {
	switch text {
	case "GET":
		return GET, true
	case "HEAD":
		return HEAD, true
	case "POST":
		return POST, true
	case "PUT":
		return PUT, true
	case "PATCH":
		return PATCH, true
	case "DELETE":
		return DELETE, true
	case "OPTIONS":
		return OPTIONS, true
	}
	return 0, false
}

// String returns the method's name in capitals.
func (m Method) String() string {
	if int(m) < methodCount {
		return methodNames[m]
	}
	return "other"
}

// Methods is a set of methods; the zero value is empty.
type Methods uint8

// Has reports whether m is in the set.
func (s Methods) Has(m Method) bool { return s&(1<<m) != 0 }

// With returns the set with m in it.
func (s Methods) With(m Method) Methods { return s | 1<<m }

// String returns the set as an Allow header has it: "GET, POST". It allocates
// nothing.
func (s Methods) String() string { return methodLists[s&(1<<methodCount-1)] }

// methodLists is the text of every set.
var methodLists = makeMethodLists()

func makeMethodLists() (lists [1 << methodCount]string) {
	for set := range lists {
		var names []string
		for m, name := range methodNames {
			if Methods(set).Has(Method(m)) {
				names = append(names, name)
			}
		}
		lists[set] = strings.Join(names, ", ")
	}
	return lists
}
