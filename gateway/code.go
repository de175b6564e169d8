package gateway

import "github.com/weir-project/weir"

// Code returns the status and the code with which requests are refused at l;
// both are stable. An unknown level has none.
func Code(l weir.Level) (status int, code string) {
	if int(l) >= len(limitReasons) {
		return 0, ""
	}
	return limitReasons[l].status, limitReasons[l].code
}
